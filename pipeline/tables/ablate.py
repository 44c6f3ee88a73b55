"""Tables of the ablate stage: what the loss does without a head, some heads, a path, or what one head feeds another."""

from dataclasses import replace

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE, EVAL_SET, HEAD, LAYER, PERIOD, SENTENCE

NATS = "nats per token"
CLASS = Column(
    "token_class",
    "string",
    "name",
    "the tokens predicted: of a segment's first occurrence, of a later copy of it (second_copy), neither (novel: the "
    "class `other` of sequences), or all, where a copy begins (copy_start of sequences) too",
    options=("all", "novel", "first_copy", "second_copy"),
)
LOSS = Column("loss", "float64", NATS, "mean loss of the model so changed", 0)
SET = (EVAL_SET, PERIOD, CLASS)
N = Column("n", "int64", "count", "tokens averaged over", 1)


def interval(of: str, unit: str = NATS) -> tuple[Column, ...]:
    """Return the columns lo and hi, the ends of an interval, and its confidence."""
    ends = (
        Column(name, "float64", unit, f"{end} end of the interval of {of}; null if there is none", nullable=True)
        for name, end in (("lo", "lower"), ("hi", "upper"))
    )
    return *ends, CONFIDENCE


BY_SENTENCE = "the bootstrap over sentences"
ABLATIONS = Table(
    name="ablations",
    row="one head changed in one way, and the loss on one class of tokens",
    key=("layer", "head", "method", "eval_set", "period", "token_class"),
    columns=(
        LAYER,
        HEAD,
        Column(
            "method",
            "string",
            "name",
            "zero: the head writes nothing, but the layer's constants stay, b_V W_O of this head among them (a hook "
            "that sets z to 0, as in TransformerLens, takes it away too: where a model has b_V, its losses differ from "
            "these); mean: its mean over sentences and positions; resample: what it wrote in another sentence; "
            "pattern_preserving: zero, with all later patterns as they were; random_direction, the control: what it "
            "writes stays, and a random vector of the same length is taken away at each position",
            options=("zero", "mean", "resample", "pattern_preserving", "random_direction"),
        ),
        *SET,
        LOSS,
        Column("difference", "float64", NATS, "that loss minus the loss of the model as it is"),
        *interval(f"the difference, by {BY_SENTENCE}"),
        N,
    ),
)
ROLE = Column(
    "role",
    "string",
    "name",
    "the role whose score ranks heads, on the half of the sentences that chooses",
    options=("previous_token", "current_token", "first_token", "duplicate_token", "induction", "copying"),
)
SIZE = Column("size", "int64", "heads", "heads in the set", 1)
SET_ABLATIONS = Table(
    name="set_ablations",
    row="one set of heads changed, and the loss on one class of tokens, over sentences that chose none of them",
    key=("role", "kind", "size", "draw", "eval_set", "period", "token_class"),
    columns=(
        ROLE,
        Column(
            "kind",
            "string",
            "name",
            "ranked: the heads that score best write nothing (biases stay); role: so do all whose score reaches what "
            "the role asks for, absent where none does; random: so do as many other heads of the same layers, drawn "
            "such that they write about as much (where a layer has too few others, some of the set's own among them; "
            "absent where it has none); random_direction: the ranked set stays, and in each layer a random vector as "
            "long as what the set writes is taken away at each position; layers: all heads of the layers that a "
            "ranked set has heads in write nothing. The last three also for a role's set",
            options=("ranked", "role", "random", "random_direction", "layers"),
        ),
        SIZE,
        Column("draw", "int64", "index", "which random set, the closest first; null for other kinds", 0, nullable=True),
        Column("heads", "string", "layer.head", "the heads, by space; of ranked and role, the best first"),
        *SET,
        Column("difference", "float64", NATS, "the loss so changed minus the loss of the model as it is"),
        *interval(f"the difference, by {BY_SENTENCE}"),
        Column(
            "share",
            "float64",
            "none",
            "that difference over the one without any head of the set's layers (layers); null where the interval of "
            "the latter does not lie above 0",
            nullable=True,
        ),
        N,
    ),
)
SET_CURVES = Table(
    name="set_curves",
    row="how soon sets of one kind, as they grow, have the effect of their whole layers; absent without a sure effect",
    key=("role", "kind", "eval_set", "period", "token_class"),
    columns=(
        ROLE,
        Column(
            "kind",
            "string",
            "name",
            "ranked, random: as in set_ablations, the mean over random sets; lead: ranked minus random",
            options=("ranked", "random", "lead"),
        ),
        Column("sizes", "string", "heads", "sizes of the sets, by space: those at which there are both kinds, if any"),
        *SET,
        Column(
            "area",
            "float64",
            "none",
            "mean of the share over sizes, from the smallest to the largest, by trapezoids: 1 where the first head "
            "has the whole effect already",
        ),
        *interval(f"the area, by {BY_SENTENCE}; not over random sets", "none"),
        N,
    ),
)
SENTENCE_SETS = Table(
    name="sentence_sets",
    row="one set of heads that writes nothing, and the loss on one class of one sentence's tokens",
    key=("role", "kind", "size", "eval_set", "period", "token_class", "sentence"),
    columns=(
        ROLE,
        Column(
            "kind",
            "string",
            "name",
            "as in set_ablations: ranked, role or layers",
            options=("ranked", "role", "layers"),
        ),
        SIZE,
        *SET,
        SENTENCE,
        Column("value", "float64", NATS, "mean of the loss so changed minus the loss of the model as it is"),
        Column("weight", "float64", "count", "tokens averaged over", 1),
    ),
)
L0 = Column(
    "l0",
    "string",
    "name",
    "what the path passes in layer 0: a head (0.h), or direct, as what feed-forward parts write, and constants, do",
)
L1 = Column("l1", "string", "name", "what it passes in layer 1: a head (1.h), or direct")
PATHS = Table(
    name="paths",
    row="one path from the embedding to the logits; patterns, norms' scales and feed-forward outputs held",
    key=("l0", "l1", "eval_set", "period", "token_class"),
    columns=(
        L0,
        L1,
        *SET,
        Column(
            "logit_contribution",
            "float64",
            "logits",
            "the path's logit of the correct token minus its mean over the vocabulary, averaged over tokens",
        ),
        Column("loss_removed", "float64", NATS, "the model's loss without the path minus its loss"),
        Column(
            "shapley",
            "float64",
            NATS,
            "the path's Shapley share of the fall from the loss of even guessing to the model's; shares sum to it",
        ),
        Column("shapley_lo", "float64", NATS, "lower end of the interval of the share, over sampled orders"),
        Column("shapley_hi", "float64", NATS, "upper end of the interval of the share, over sampled orders"),
        CONFIDENCE,
        N,
    ),
)
TERM_ORDERS = Table(
    name="term_orders",
    row="the paths (see paths) through at most so many heads (order), or one of the four groups of paths (group)",
    key=("order", "group", "eval_set", "period", "token_class"),
    columns=(
        Column("order", "int64", "heads", "most heads a path passes; null in a group's row", 0, nullable=True),
        Column(
            "group",
            "string",
            "name",
            "direct: through no head; layer_0, layer_1: through one head of that layer; virtual: through one of each; "
            "null in an order's row",
            nullable=True,
            options=("direct", "layer_0", "layer_1", "virtual"),
        ),
        *SET,
        Column("loss", "float64", NATS, "mean loss of the model cut down to these paths", 0),
        Column(
            "gain",
            "float64",
            NATS,
            "order: fall of the loss from the order below, of order 0 from that of even guessing; group: exact "
            "Shapley share of the fall from even guessing to the model, over the four groups",
        ),
        *interval(f"the gain, by {BY_SENTENCE}"),
        Column("first", "float64", NATS, "group: fall of the loss if it comes first; null for orders", nullable=True),
        Column(
            "after_direct",
            "float64",
            NATS,
            "group: fall of the loss if it joins the direct path alone; null for that, and for orders",
            nullable=True,
        ),
        Column("last", "float64", NATS, "group: fall of the loss if it comes last; null for orders", nullable=True),
        N,
    ),
)
SENTENCE_ORDERS = Table(
    name="sentence_orders",
    row="the paths through at most so many heads, on one sentence",
    key=("order", "eval_set", "period", "sentence"),
    columns=(
        Column("order", "int64", "heads", "most heads a path passes", 0),
        EVAL_SET,
        PERIOD,
        SENTENCE,
        Column("value", "float64", NATS, "gain of the order, as in term_orders, over all tokens of the sentence"),
        Column("weight", "int64", "count", "tokens averaged over", 1),
    ),
)
EDGES = Table(
    name="edges",
    row="what one head wrote taken from what one head of a later layer reads",
    key=("src_layer", "src_head", "dst_layer", "dst_head", "kind", "eval_set", "period", "token_class"),
    columns=(
        Column("src_layer", "int64", "index", "layer of the head that writes", 0),
        Column("src_head", "int64", "index", "head that writes", 0),
        Column("dst_layer", "int64", "index", "layer of the head that reads", 0),
        Column("dst_head", "int64", "index", "head that reads", 0),
        Column("kind", "string", "name", "what no longer reads it: queries, keys or values", options=("Q", "K", "V")),
        *SET,
        LOSS,
        Column("difference", "float64", NATS, "that loss minus the loss of the model as it is"),
        *interval(f"the difference, by {BY_SENTENCE}"),
        Column(
            "induction_change",
            "float64",
            "probability",
            "change of the reader's prefix-matching mass; on token_class all alone, and null where nothing repeats",
            -1,
            1,
            nullable=True,
        ),
        N,
    ),
)
CONTRIBUTIONS = Table(
    name="contributions",
    row="what one part of the model adds to the logit of the token that comes, on one class of tokens",
    key=("kind", "layer", "head", "eval_set", "period", "token_class"),
    columns=(
        Column(
            "kind",
            "string",
            "name",
            "token, position: their embeddings; head; feed_forward: a layer's whole feed-forward part; bias: all that "
            "is added whatever the input. Nothing is listed where norms stand on the stream itself",
            options=("token", "position", "head", "feed_forward", "bias"),
        ),
        replace(LAYER, nullable=True, meaning="of the head or feed-forward part, from 0; null for others"),
        replace(HEAD, nullable=True, meaning="head within its layer, from 0; null for what is none"),
        *SET,
        Column(
            "contribution",
            "float64",
            "logits",
            "logit of the correct token that the part adds, minus the mean logit over the vocabulary that it adds, "
            "averaged over tokens; what the last norm divides by is held. All parts sum to the model's own",
        ),
        *interval(f"the contribution, by {BY_SENTENCE}", "logits"),
        N,
    ),
)
LOGIT_LENS = Table(
    name="logit_lens",
    row="the stream after some layers, read by the last norm and the unembedding, on one class of tokens",
    key=("depth", "eval_set", "period", "token_class"),
    columns=(
        Column("depth", "int64", "layers", "layers passed: 0 the embedding, the largest the model itself", 0),
        *SET,
        Column("loss", "float64", NATS, "mean loss of these logits", 0),
        *interval(f"the loss, by {BY_SENTENCE}"),
        Column("divergence", "float64", NATS, "mean KL(model || lens) of the predictions", 0),
        Column("agreement", "float64", "share", "how often their likeliest token is the model's", 0, 1),
        N,
    ),
)
