"""Tables of the project stage: every head read through the vocabulary."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import HEAD, LAYER, TOKEN, TOKEN_ID

CIRCUIT = Column(
    "circuit",
    "string",
    "name",
    "OV: W_E W_V W_O W_U, row token attended to, column token promoted; QK: W_E W_Q W_K^T W_E^T / sqrt(d_head), "
    "row query token, column key token; with rotary positions W_Q R(distance) W_K^T, of spectra at distance 0",
    options=("OV", "QK"),
)
ITEM = Column("token", "string", "text", "the same, as shown; [pos 3] is the learned position 3")
EMB_MODE = Column(
    "emb_mode",
    "string",
    "name",
    "which embedding was read: W_E, or with what the first feed-forward part makes of it alone, which heads of layer 0 "
    "do not meet",
    options=("embedding", "after_mlp0"),
)
DISTANCE = Column(
    "distance",
    "int64",
    "tokens",
    "from query back to key; null where scores do not depend on it: of OV, and without rotary positions",
    0,
    nullable=True,
)
END = Column("end", "string", "name", "largest or smallest values", options=("top", "bottom"))
RANK = Column("rank", "int64", "index", "place in the list, from 0", 0)
NORMALISER = Column("normaliser", "string", "name", "what values were divided by", options=("none", "notebook"))

VOCAB_PAIRS = Table(
    name="vocab_pairs",
    row="one of the strongest token pairs of one circuit",
    key=("layer", "head", "circuit", "emb_mode", "distance", "end", "rank"),
    columns=(
        LAYER,
        HEAD,
        CIRCUIT,
        EMB_MODE,
        DISTANCE,
        END,
        RANK,
        Column("row_id", "int64", "index", "token of the circuit's row; positions are counted on after tokens", 0),
        Column("row_token", "string", "text", "the same, as shown; [pos 3] is the learned position 3"),
        Column(
            "row_occurrences",
            "int64",
            "count",
            "times it stands in the documents for training; of what begins and ends a text, how many these are; "
            "null of positions",
            0,
            nullable=True,
        ),
        Column("column_id", "int64", "index", "token of the circuit's column, as row_id", 0),
        Column("column_token", "string", "text", "the same, as shown"),
        Column("column_occurrences", "int64", "count", "as row_occurrences", 0, nullable=True),
        Column("value", "float64", "logits or score", "the circuit's entry"),
        Column(
            "z",
            "float64",
            "standard deviations",
            "distance from the mean of all entries of the circuit; null where they do not vary beyond rounding: a "
            "circuit of zeros, or that reads nothing of the vocabulary, or the same of every token",
            nullable=True,
        ),
        NORMALISER,
        Column("filters", "string", "name", "filters applied, joined by +; empty if none"),
        Column(
            "ln_mode",
            "string",
            "name",
            "how layer norms entered: not at all, their gains, or gains and centring",
            options=("raw", "folded", "folded_centred"),
        ),
        Column("exact", "bool", "none", "whether the list is that of all pairs that pass the filters"),
        Column("entries_scored", "int64", "count", "entries whose value was computed to find the list", 0),
    ),
)
VOCAB_COUNTS = Table(
    name="vocab_counts",
    row="one token on one side of one list of vocab_pairs",
    key=("layer", "head", "circuit", "emb_mode", "distance", "end", "side", "token_id"),
    columns=(
        LAYER,
        HEAD,
        CIRCUIT,
        EMB_MODE,
        DISTANCE,
        END,
        Column("side", "string", "name", "side of the pairs", options=("row", "column")),
        Column("token_id", "int64", "index", "row of the embedding; positions are counted on after tokens", 0),
        ITEM,
        Column("count", "int64", "pairs", "listed pairs with this token on this side", 1),
    ),
)
VOCAB_UNITS = Table(
    name="vocab_units",
    row="one of the strongest tokens of one vector of weights",
    key=("layer", "head", "matrix", "unit", "end", "rank"),
    columns=(
        LAYER,
        Column("head", "int64", "index", "head; null for feed-forward neurons", 0, nullable=True),
        Column(
            "matrix",
            "string",
            "name",
            "FF_key and FF_value: a neuron's input and output direction; W_Q, W_K, W_V, W_O: one dimension of a "
            "head's queries, keys, values, outputs; SVD_left and SVD_right: singular directions of the full circuit, "
            "on the row's and the column's side",
            options=(
                *("FF_key", "FF_value", "W_Q", "W_K", "W_V", "W_O"),
                *("OV_SVD_left", "OV_SVD_right", "QK_SVD_left", "QK_SVD_right"),
            ),
        ),
        Column("unit", "int64", "index", "neuron, dimension or singular direction, from 0", 0),
        END,
        RANK,
        TOKEN_ID,
        TOKEN,
        Column("value", "float64", "by matrix", "the vector's component on the token"),
        NORMALISER,
    ),
)
SPECTRA = Table(
    name="spectra",
    row="one eigenvalue and one singular value of one full circuit, by decreasing size",
    key=("layer", "head", "circuit", "index"),
    columns=(
        LAYER,
        HEAD,
        CIRCUIT,
        Column("index", "int64", "index", "place by decreasing size, from 0", 0),
        Column("real", "float64", "logits or score", "real part of the eigenvalue"),
        Column("imaginary", "float64", "logits or score", "imaginary part of the eigenvalue"),
        Column(
            "singular_value",
            "float64",
            "logits or score",
            "singular value; below 1e-7 of what matrices of this size could make, rounding",
            0,
        ),
        Column(
            "gap",
            "float64",
            "share",
            "distance to the next singular value, relative to this one; near 0 its direction is arbitrary",
            0,
            1,
            nullable=True,
        ),
    ),
)
DISTANCE_SCORES = Table(
    name="distance_scores",
    row="one distance between query and key, of one head of a rotary model; none of any other",
    key=("layer", "head", "emb_mode", "distance"),
    columns=(
        LAYER,
        HEAD,
        EMB_MODE,
        Column("distance", "int64", "tokens", "from query back to key", 0),
        Column(
            "position_part",
            "float64",
            "score",
            "mean score of pairs of tokens, each alone behind the norm and as often as it stands in the text, biases "
            "included: what any pair has at this distance",
        ),
        Column("content_part", "float64", "score", "standard deviation of the scores of these pairs", 0),
    ),
)
