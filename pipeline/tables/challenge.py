"""Table of the challenge stage: what heads and model do where position, habit or rarity would mislead them."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE
from pipeline.tables.score import DEFINITION, METRIC

CHALLENGE_SCORES = Table(
    name="challenge_scores",
    row="one metric of one head, or of the model, on one kind of challenging sequences",
    key=("layer", "head", "challenge", "level", "metric", "definition"),
    columns=(
        Column("layer", "int64", "index", "attention layer, from 0; null for the model as a whole", 0, nullable=True),
        Column("head", "int64", "index", "head within its layer; null for the model as a whole", 0, nullable=True),
        Column(
            "challenge",
            "string",
            "name",
            "all of random tokens. period: a block repeated without gaps; length: a segment and its one copy anywhere "
            "in a sequence of another length; gap: a segment repeated with random gaps; no_begin: repeated, without "
            "[BEGIN]; ambiguous: each token, or pair, occurred twice and was followed by different tokens; frequency: "
            "repeated tokens that are never, rarely, sometimes, often met in training",
            options=("period", "length", "gap", "no_begin", "ambiguous", "frequency"),
        ),
        Column(
            "level",
            "int64",
            "by challenge",
            "period, no_begin: tokens of the block; length: tokens of the sequence; gap: the largest gap, tokens; "
            "ambiguous: 1, only recency tells the continuations apart, 2, the token before does; frequency: 0 for "
            "tokens that training never held, 1, 2, 3 for the rare, middle and common third of the others",
            0,
        ),
        METRIC,
        DEFINITION,
        Column("value", "float64", "probability; nats per token; logits", "mean over all queries or tokens that count"),
        Column("chance", "float64", "as value", "the same under even attention, or even prediction"),
        Column("lo", "float64", "as value", "lower end of the bootstrap interval over sequences"),
        Column("hi", "float64", "as value", "upper end of the bootstrap interval over sequences"),
        CONFIDENCE,
        Column("n", "int64", "count", "sequences it was computed on", 1),
    ),
)
