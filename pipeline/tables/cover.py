"""Table of the cover stage: how much of each head its roles explain."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE, EVAL_SET, HEAD, LAYER


def share(name: str, meaning: str) -> Column:
    """Return a column of shares; all of them are at most 1, and may lie far below 0."""
    return Column(name, "float64", "share", f"{meaning}; null where `share` is", None, 1, nullable=True)


ROLE_COVERAGE = Table(
    name="role_coverage",
    row="one head that keeps what one role explains, all else of it at its mean, and the predictions on held-out text",
    key=("layer", "head", "role", "eval_set"),
    columns=(
        LAYER,
        HEAD,
        Column(
            "role",
            "string",
            "name",
            "what is kept: the attention to the token before, to the token itself, to [BEGIN], to earlier copies of "
            "the token, to what followed these (induction), to any of these keys (all_attention_roles: what they leave "
            "is unexplained); or, of what each key writes, the part along the direction that raises its own token's "
            "logit (copying). A head may have several; what they keep overlaps",
            options=(
                *("previous_token", "current_token", "first_token", "duplicate_token", "induction"),
                *("all_attention_roles", "copying"),
            ),
        ),
        EVAL_SET,
        Column(
            "effect",
            "float64",
            "nats per token",
            "the head's own effect: mean KL(model || model with the head at its mean); null where nothing was measured",
            0,
            nullable=True,
        ),
        Column(
            "mass",
            "float64",
            "probability",
            "mean attention to what the role looks at, over queries but the first; of copying 1; null likewise",
            0,
            nullable=True,
        ),
        Column(
            "share",
            "float64",
            "share",
            "of that effect, what the role recovers: 1 - KL(model || kept) / KL(model || mean), sums over tokens; "
            "below 0 where the part alone leads further astray than the mean. Null where models attend both ways, of "
            "first_token where sequences have no [BEGIN] (all_attention_roles is of the others), and of a head without "
            "effect",
            None,
            1,
            nullable=True,
        ),
        Column("lo", "float64", "share", "lower end of the share's bootstrap interval over sentences", nullable=True),
        Column("hi", "float64", "share", "upper end of the share's bootstrap interval over sentences", nullable=True),
        CONFIDENCE,
        share(
            "chance",
            "the same share of random edges: each query's attention to the role's keys goes to as many keys drawn from "
            "all it sees; of copying, of the directions of other tokens; mean over draws. Copies of one token add up: "
            "of even attention, duplicate_token lies a little above this chance",
        ),
        share("chance_hi", "upper quantile of that share over draws, at the confidence"),
        Column(
            "above_chance",
            "float64",
            "share",
            "share minus chance, on the same sentences; null where `share` is",
            nullable=True,
        ),
        Column("above_lo", "float64", "share", "lower end of its interval over sentences", nullable=True),
        Column("above_hi", "float64", "share", "upper end of its interval over sentences", nullable=True),
        Column("n", "int64", "count", "tokens compared; 0 where nothing was measured", 0),
    ),
)
