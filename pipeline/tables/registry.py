"""The tables that readers find in results/studies/: gathered from the stages of all runs, or made of them."""

from pipeline.plumbing.schema import Table
from pipeline.tables import (
    ablate,
    challenge,
    compare,
    decompose,
    effects,
    emergence,
    follow,
    judge,
    matching,
    prepare,
    project,
    roles,
    score,
    train,
    validity,
    verify,
)

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
    "follow": (follow.DYNAMICS,),
    "challenge": (challenge.SHORTCUTS,),
    "compare": (compare.OVERLAPS,),
}
OF_JUDGE: tuple[Table, ...] = (
    judge.CLAIMS,
    roles.HEAD_ROLES,
    matching.HEAD_MATCHES,
    effects.INTERVALS,
    effects.EFFECTS,
    validity.VALIDITY,
    emergence.EMERGENCE,
    emergence.EMERGENCE_ORDER,
)
