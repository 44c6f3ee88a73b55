"""The tables that readers find in results/studies/: gathered from the stages of all runs, or made of them."""

from pipeline.plumbing.schema import Table
from pipeline.tables import (
    ablate,
    challenge,
    decompose,
    overlap,
    prepare,
    project,
    score,
    score_checkpoints,
    train,
    verify,
)
from pipeline.tables.judge import claims, effects, emergence, head_matches, head_roles, validity

OF_A_RUN: dict[str, tuple[Table, ...]] = {
    "prepare": (prepare.CORPUS,),
    "train": (train.TRAINING_CURVE,),
    "verify": (verify.CHECKS,),
    "decompose": (decompose.ATTENTION_TERMS, decompose.OFFSET_PROFILES, decompose.TERM_MAPS),
    "project": (project.VOCAB_PAIRS, project.VOCAB_COUNTS, project.VOCAB_UNITS, project.SPECTRA),
    "score": (
        score.HEAD_SCORES,
        score.HEAD_PAIRS,
        score.NULLS,
        score.PAIR_NULLS,
        score.SENTENCE_SCORES,
        score.VIRTUAL_HEADS,
        score.LOSS_BY_POSITION,
    ),
    "ablate": (ablate.ABLATIONS, ablate.PATHS, ablate.TERM_ORDERS, ablate.EDGES),
    "score_checkpoints": (score_checkpoints.CHECKPOINT_SCORES,),
    "challenge": (challenge.CHALLENGE_SCORES,),
    "overlap": (overlap.OVERLAPS,),
}
OF_JUDGE: tuple[Table, ...] = (
    claims.CLAIMS,
    head_roles.HEAD_ROLES,
    head_matches.HEAD_MATCHES,
    effects.INTERVALS,
    effects.EFFECTS,
    validity.VALIDITY,
    emergence.EMERGENCE,
    emergence.EMERGENCE_ORDER,
)
