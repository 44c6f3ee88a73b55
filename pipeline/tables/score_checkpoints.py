"""Tables of the score_checkpoints stage: how heads and losses came about."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import EVAL_SET, HEAD, LAYER, PERIOD, SENTENCE, TOKEN_CLASS
from pipeline.tables.score import DEFINITION, METRIC

AT_STEP = Column("step", "int64", "optimiser steps", "training step of the checkpoint", 0)
CHECKPOINT_SCORES = Table(
    name="checkpoint_scores",
    row="one measure of the model, a head or a pair of heads at one checkpoint of its training; twins without [BEGIN] "
    "are measured of the last alone, in head_scores",
    key=("step", "layer", "head", "src_layer", "src_head", "metric", "definition", "eval_set", "period"),
    columns=(
        AT_STEP,
        Column(
            "layer", "int64", "index", "layer of the head, or of the pair's reader; null for the model", 0, None, True
        ),
        Column("head", "int64", "index", "the head, or the pair's reader; null for the model", 0, None, True),
        Column("src_layer", "int64", "index", "layer of the pair's writer; null but for pairs", 0, None, True),
        Column("src_head", "int64", "index", "the pair's writer; null but for pairs", 0, None, True),
        METRIC,
        DEFINITION,
        Column(
            "eval_set",
            "string",
            "name",
            EVAL_SET.meaning + "; weights: no sequences",
            options=(*EVAL_SET.options, "weights"),
        ),
        PERIOD,
        Column("value", "float64", "by definition", "the measure; null where it is undefined", nullable=True),
        Column(
            "chance",
            "float64",
            "as value",
            "value under uniform attention or for random weights; null if unknown",
            nullable=True,
        ),
    ),
)
CHECKPOINT_SENTENCES = Table(
    name="checkpoint_sentences",
    row="one head's attention to induction targets, on one sentence at one checkpoint of its training",
    key=("step", "layer", "head", "eval_set", "period", "sentence"),
    columns=(
        AT_STEP,
        LAYER,
        HEAD,
        EVAL_SET,
        PERIOD,
        SENTENCE,
        Column("value", "float64", "probability", "the mass definition of induction; null: no targets", nullable=True),
        Column("weight", "float64", "count", "queries that have targets: checkpoint_scores has the weighted mean", 0),
    ),
)
CHECKPOINT_LOSSES = Table(
    name="checkpoint_losses",
    row="the tokens of one class in one sequence, and the loss of one checkpoint on them",
    key=("step", "eval_set", "period", "sentence", "token_class"),
    columns=(
        AT_STEP,
        EVAL_SET,
        PERIOD,
        SENTENCE,
        TOKEN_CLASS,
        Column("loss", "float64", "nats per token", "mean loss on these tokens", 0),
        Column("n", "int64", "count", "tokens averaged over; the first of a sequence is predicted by nothing", 1),
    ),
)
