"""Table of the train stage."""

from pipeline.plumbing.schema import Column, Table

TRAINING_CURVE = Table(
    name="training_curve",
    row="one loss at one step of training",
    key=("step", "split"),
    columns=(
        Column("step", "int64", "optimiser steps", "steps taken before the loss was measured", 0),
        Column("tokens", "int64", "count", "tokens trained on by then", 0),
        Column(
            "split",
            "string",
            "name",
            "train: the batch itself; heldout: text never trained on; first_copy and second_copy: a segment of "
            "held-out text and its copy later in the same sequence, without its first token, which nothing foretells",
            options=("train", "heldout", "first_copy", "second_copy"),
        ),
        Column("loss", "float64", "nats per token", "mean negative log-likelihood", 0),
        Column("learning_rate", "float64", "none", "of the step that follows", 0),
    ),
)
