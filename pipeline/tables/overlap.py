"""Table of the overlap stage: what works together, compared by tokens."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE, LAYER

OVERLAPS = Table(
    name="overlaps",
    row="one kind of pair, over all pairs of one layer",
    key=("layer", "pair"),
    columns=(
        LAYER,
        Column(
            "pair",
            "string",
            "name",
            "what is compared. key_value: a neuron's input and output direction; query_key and value_output: the "
            "same dimension of a head's W_Q and W_K, W_V and W_O; value_hidden: a most active neuron's output "
            "direction and the stream after the layer, at one position",
            options=("key_value", "query_key", "value_output", "value_hidden"),
        ),
        Column("k", "int64", "tokens", "tokens that stand for a vector or state", 1),
        Column(
            "value",
            "float64",
            "share",
            "mean over pairs of the tokens in common: as a share of those of either (Jaccard; tokens by size of "
            "component); for value_hidden, of the state's (recall; tokens promoted most)",
            0,
            1,
        ),
        Column("lo", "float64", "share", "lower end of the mean's normal interval", nullable=True),
        Column("hi", "float64", "share", "upper end of the mean's normal interval", nullable=True),
        CONFIDENCE,
        Column("chance", "float64", "share", "the same mean over shuffled pairs of the layer", 0, 1),
        Column("n", "int64", "count", "pairs, or positions", 1),
    ),
)
