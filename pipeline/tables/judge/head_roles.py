"""Table of what each head is, and how one knows."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE, HEAD, LAYER, SIGNIFICANCE

PROBABILITY, NATS = "probability", "nats per token"


def number(name: str, unit: str, meaning: str, low: float | None = None, high: float | None = None) -> Column:
    """Return a column of one of the numbers that roles rest on."""
    return Column(name, "float64", unit, f"{meaning}; null if not measured", low, high, nullable=True)


HEAD_ROLES = Table(
    name="head_roles",
    row="one attention head and its role",
    key=("experiment", "seed", "layer", "head"),
    columns=(
        Column("experiment", "string", "name", "the experiment of the study this run belongs to"),
        Column("seed", "int64", "none", "seed of the run's initial weights and training batches", 0),
        LAYER,
        HEAD,
        Column(
            "role",
            "string",
            "name",
            "the first of these of which no criterion fails; what was not measured is said in `named` and in "
            "`unmeasured`, which is empty where everything was. What makes the role what it is was measured and holds: "
            "prefix matching of induction and prefix_matching, the score of copying, all of the others. induction: "
            "attends to what followed a token's earlier occurrences, on every period, significantly, also across "
            "random gaps, by content rather than position, and its removal costs loss on second copies, more than on "
            "novel tokens; positional_shortcut: does so on some period but not on all or not across gaps, by position; "
            "prefix_matching: on every period, significantly, but something else of induction fails; previous_token, "
            "duplicate_token, current_token, first_token: most attention goes there (first_token: an attention sink); "
            "positional: position explains most of its scores' variance; fuzzy_induction: attends to what followed "
            "tokens near its own in embedding, significantly, and most of that attention is more than chance gives; "
            "successor: its OV circuit takes most days, months, numbers, numerals or letters to the next, "
            "significantly; "
            "relation: the same of other pairs of words; copying: OV circuit only; copy_suppression: most tokens are "
            "among the ten smallest of their own row of the OV circuit, significantly, and attended tokens' logits "
            "fall; direct_copying: as a name mover, it raises the logits of the tokens that it chooses to look at, "
            "significantly; inactive: the head writes next to nothing beside its layer's others; none: of these",
            options=(
                *("induction", "positional_shortcut", "prefix_matching", "previous_token", "duplicate_token"),
                *("current_token", "first_token", "positional", "fuzzy_induction", "successor", "relation", "copying"),
                *("copy_suppression", "direct_copying", "inactive", "none"),
            ),
        ),
        Column("named", "string", "text", "the role and, in brackets, which of its criteria were not measured"),
        Column("also", "string", "text", "other roles that it plays, named likewise, by `; `; empty if there are none"),
        Column(
            "certainty",
            "float64",
            PROBABILITY,
            "lower bound, over the drawing of sentences, of the probability that all measured criteria of the role "
            "hold (of `none`: that no role's do; a role of which nothing was measured may hold)",
            0,
            1,
        ),
        Column("evidence", "string", "text", "the numbers behind the role, in words"),
        Column("failed", "string", "names", "criteria of induction that were measured and do not hold"),
        Column(
            "unmeasured",
            "string",
            "names",
            "criteria of the role that were not measured; of `none`, those that were not of roles of which none fails",
        ),
        number("previous_token", PROBABILITY, "mean attention to the token before, held-out text", 0, 1),
        number("current_token", PROBABILITY, "mean attention to the token itself, held-out text", 0, 1),
        number("first_token", PROBABILITY, "mean attention to position 0, held-out text", 0, 1),
        number("duplicate_token", PROBABILITY, "attention to earlier copies of the token, worst period", 0, 1),
        number("copying", "none", "eigenvalue copying score", -1, 1),
        number("copy_suppression", "share", "tokens among the ten smallest of their own row of the OV circuit", 0, 1),
        number("direct_copying", "logits", "what it adds to the logits of tokens attended to, held-out text"),
        number(
            "chosen_copying",
            "logits",
            "what it adds to the logits of tokens attended to, less what its mean output does, held-out text",
        ),
        number("fuzzy_induction", PROBABILITY, "attention to what followed near tokens, held-out text", 0, 1),
        number("fuzzy_chance", PROBABILITY, "the same with tokens renamed among those as frequent", 0, 1),
        number("successor", "share", "pairs of words and the next, of the relation it knows most of", 0, 1),
        number("relation", "share", "other pairs of words, likewise", 0, 1),
        Column("relations", "string", "text", "relations that it knows, each significantly, and the share of pairs"),
        number("distance", "tokens", "how far attention goes back, held-out text", 0),
        number("inactive", "none", "1 - what it writes over its layer's mean, held-out text", None, 1),
        number("prefix_worst", PROBABILITY, "induction mass on the worst of all periods", 0, 1),
        number("prefix_best", PROBABILITY, "induction mass on the best of all periods", 0, 1),
        number(
            "prefix_q", PROBABILITY, "largest Benjamini-Hochberg q of the induction mass, over probed periods", 0, 1
        ),
        number("short", PROBABILITY, "induction mass on one copy of a segment, worst length of the sequence", 0, 1),
        number("jittered", PROBABILITY, "induction mass with random gaps between copies, worst level", 0, 1),
        number("content", "none", "share of the scores' variance from terms without positions; may be negative"),
        number("position", "none", "share of the scores' variance from the position-position term"),
        number("repeated", NATS, "loss added on second copies of held-out text by removing the head"),
        number("repeated_lo", NATS, "lower end of its interval"),
        number("repeated_hi", NATS, "upper end of its interval"),
        number("novel", NATS, "loss added on novel tokens by removing the head"),
        number("novel_lo", NATS, "lower end of its interval"),
        number("novel_hi", NATS, "upper end of its interval"),
        CONFIDENCE,
        SIGNIFICANCE,
    ),
)
