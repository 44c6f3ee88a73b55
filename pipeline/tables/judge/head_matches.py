"""Table of which heads of different runs correspond."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import HEAD, LAYER

HEAD_MATCHES = Table(
    name="head_matches",
    row="one head of one run, and the head of the reference run that scores most like it",
    key=("experiment", "seed", "layer", "head"),
    columns=(
        Column("experiment", "string", "name", "the experiment"),
        Column("seed", "int64", "none", "the run's seed", 0),
        LAYER,
        HEAD,
        Column("reference_experiment", "string", "name", "the study's first experiment"),
        Column("reference_seed", "int64", "none", "its first seed", 0),
        Column("reference_head", "int64", "index", "the partner, in the same layer; null without", 0, nullable=True),
        Column(
            "similarity",
            "float64",
            "correlation",
            "of the two heads' scores, each in standard deviations over the study; null without a partner",
            -1,
            1,
            nullable=True,
        ),
        Column("at_random", "float64", "correlation", "mean over all pairs of the layer's heads", -1, 1, nullable=True),
    ),
)
