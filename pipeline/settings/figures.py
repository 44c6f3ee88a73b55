"""Every figure there is, by the name of its module and function in pipeline/figures/."""

# Drawn from one experiment's rows of the study's tables.
OF_AN_EXPERIMENT = (
    "four_terms",
    "term_shares",
    "offset_profiles",
    "distance_scores",
    "head_scores",
    "training_curve",
    "eigenvalues",
    "composition",
    "virtual_heads",
    "loss_by_position",
    "head_roles",
    "ablations",
    "set_ablations",
    "role_coverage",
    "paths",
    "contributions",
    "validity",
    "emergence",
    "challenge_scores",
    "vocab_pairs",
)
# Drawn over all experiments.
OF_A_STUDY = ("claims", "comparison", "effects")
# Drawn by the stage that makes their table.
OF_KNOWN_ANSWERS = ("known_answers", "definition_power", "injected_bugs")
OF_A_STAGE = (*OF_KNOWN_ANSWERS, "benchmark", "stages")
