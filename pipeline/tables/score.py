"""Tables of the score stage: what each head and each pair of heads does."""

from dataclasses import replace

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import (
    CONFIDENCE,
    EVAL_SET,
    HEAD,
    LAYER,
    PERIOD,
    POSITION,
    SENTENCE,
    STEP,
    TOKEN,
    TOKEN_CLASS,
    TOKEN_ID,
)

NULL_KINDS = ("gaussian", "rotation", "step_0", "permuted_tokens", "renamed_tokens")
METRIC = Column("metric", "string", "name", "what is scored; docs/tables.md lists every metric")
DEFINITION = Column("definition", "string", "name", "by which definition; docs/tables.md lists every definition")
MEASURED_ON = replace(EVAL_SET, meaning=EVAL_SET.meaning + "; weights: none", options=(*EVAL_SET.options, "weights"))
PAIR = (
    Column("src_layer", "int64", "index", "layer of the head that writes", 0),
    Column("src_head", "int64", "index", "head that writes", 0),
    Column("dst_layer", "int64", "index", "layer of the head that reads", 0),
    Column("dst_head", "int64", "index", "head that reads", 0),
)
NULL_KIND = Column(
    "null_kind",
    "string",
    "name",
    "what the score is compared with: gaussian, heads of random matrices in the same model; rotation, the head with "
    "its singular values, its directions turned at random; step_0, heads before training; permuted_tokens, tokens "
    "that changed places; renamed_tokens, attention to what follows tokens as frequent as those asked for",
    options=NULL_KINDS,
)
CHANCE = (
    Column("null_mean", "float64", "as value", "mean over draws of the null", nullable=True),
    Column("null_sd", "float64", "as value", "standard deviation over draws of the null", 0, nullable=True),
    Column("z", "float64", "standard deviations", "(value - null_mean) / null_sd", nullable=True),
    Column("p", "float64", "probability", "of a value at least as large under the null", 0, 1, nullable=True),
    Column(
        "q", "float64", "probability", "p by Benjamini and Hochberg, over the run's rows that share names", 0, 1, True
    ),
)
SCORE = (
    Column("value", "float64", "by definition", "the score; null where it is undefined", nullable=True),
    Column("lo", "float64", "as value", "lower end of the interval over sentences; null without", nullable=True),
    Column("hi", "float64", "as value", "upper end of the interval over sentences; null without", nullable=True),
    CONFIDENCE,
    Column(
        "chance",
        "float64",
        "as value",
        "expected value, in closed form, under uniform attention or for independent random weights; null if unknown",
        nullable=True,
    ),
    Column(
        "ideal",
        "float64",
        "as value",
        "value of a head that plays the role perfectly, by this definition, on these very sequences: it spreads its "
        "attention evenly over the role's keys where it has any; null where no such value exists",
        nullable=True,
    ),
    replace(NULL_KIND, nullable=True, meaning="the null of the next columns: see the tables of nulls"),
    *CHANCE,
    Column("normalised", "float64", "none", "(value - null_mean) / (ideal - null_mean)", nullable=True),
    Column(
        "gauge_invariant",
        "bool",
        "none",
        "whether invertible maps between a head's W_Q and W_K, and its W_V and W_O, leave the value as it is",
    ),
    Column("source", "string", "text", "where the definition was published"),
)
DRAWS = Column("draws", "int64", "count", "values of the null; null if it is in closed form", 1, nullable=True)

HEAD_SCORES = Table(
    name="head_scores",
    row="one score of one head, by one definition, on one set of sequences",
    key=("step", "layer", "head", "metric", "definition", "eval_set", "period"),
    columns=(STEP, LAYER, HEAD, METRIC, DEFINITION, MEASURED_ON, PERIOD, *SCORE),
)
NULLS = Table(
    name="nulls",
    row="one score of one head, against one kind of chance",
    key=(*HEAD_SCORES.key, "null_kind"),
    columns=(STEP, LAYER, HEAD, METRIC, DEFINITION, MEASURED_ON, PERIOD, NULL_KIND, DRAWS, *CHANCE),
)
RELATION_PAIRS = Table(
    name="relation_pairs",
    row="two words that stand in a relation, and whether the model has a token for each",
    key=("relation", "source", "target"),
    columns=(
        Column("relation", "string", "name", "definition of the metric relation that counts the pair"),
        Column("source", "string", "text", "the word that a head attends to"),
        Column("target", "string", "text", "the word that it should predict"),
        replace(TOKEN_ID, name="source_id", meaning="token of the source; null if the pair is not used", nullable=True),
        replace(
            TOKEN_ID,
            name="target_id",
            meaning="token of the target, both words after a space or both without; null if the pair is not used, "
            "because one of them is no token alone",
            nullable=True,
        ),
    ),
)
SENTENCE_SCORES = Table(
    name="sentence_scores",
    row="one score of one head on one sentence",
    key=("layer", "head", "metric", "definition", "eval_set", "period", "sentence"),
    columns=(
        LAYER,
        HEAD,
        METRIC,
        DEFINITION,
        EVAL_SET,
        PERIOD,
        SENTENCE,
        Column("value", "float64", "by definition", "the sentence's score; null where it has no weight", nullable=True),
        Column(
            "weight",
            "float64",
            "count",
            "entries that the score averages over: the set's value is the weighted mean of its sentences'",
            0,
        ),
    ),
)
SENTENCE_PAIRS = Table(
    name="sentence_pairs",
    row="one score of one head feeding a later one on one sentence",
    key=("src_layer", "src_head", "dst_layer", "dst_head", "metric", "definition", "eval_set", "sentence"),
    columns=(*PAIR, METRIC, DEFINITION, EVAL_SET, SENTENCE, *SENTENCE_SCORES.columns[-2:]),
)
SENTENCE_LOSSES = Table(
    name="sentence_losses",
    row="the tokens of one class in one part of one sequence, and the model's loss on them",
    key=("eval_set", "period", "sentence", "part", "token_class"),
    columns=(
        EVAL_SET,
        PERIOD,
        SENTENCE,
        Column("part", "int64", "index", "which of the equal parts that the sequence is cut into, from 0", 0),
        Column("parts", "int64", "count", "into how many it is cut", 1),
        TOKEN_CLASS,
        Column("loss", "float64", "nats per token", "mean loss on these tokens", 0),
        Column("n", "int64", "count", "tokens averaged over; the first of a sequence is predicted by nothing", 1),
    ),
)
HEAD_PAIRS = Table(
    name="head_pairs",
    row="one score of one head feeding a later one",
    key=("step", "src_layer", "src_head", "dst_layer", "dst_head", "metric", "definition", "eval_set"),
    columns=(STEP, *PAIR, METRIC, DEFINITION, MEASURED_ON, *SCORE),
)
PAIR_NULLS = Table(
    name="pair_nulls",
    row="one score of one head feeding a later one, against one kind of chance",
    key=(*HEAD_PAIRS.key, "null_kind"),
    columns=(STEP, *PAIR, METRIC, DEFINITION, MEASURED_ON, NULL_KIND, DRAWS, *CHANCE),
)
PAIR_DIRECTIONS = Table(
    name="pair_directions",
    row="how much a later head reads of one direction that an earlier head writes; none unless score.directions asks",
    key=("src_layer", "src_head", "dst_layer", "dst_head", "through", "direction"),
    columns=(
        *PAIR,
        Column("through", "string", "name", "input of the later head", options=("Q", "K", "V")),
        Column(
            "direction", "int64", "index", "singular direction of the first head's W_V W_O, largest first, from 0", 0
        ),
        Column("singular_value", "float64", "none", "its singular value", 0),
        Column(
            "value",
            "float64",
            "none",
            "composition of that direction alone, as the definition largest_direction has it; null where the later "
            "head's matrix is 0",
            0,
            nullable=True,
        ),
        Column(
            "chance", "float64", "none", "root mean square for a direction drawn at random: 1 / sqrt(d_model)", 0, 1
        ),
    ),
)
VIRTUAL_HEADS = Table(
    name="virtual_heads",
    row="one of the tokens a pair of heads in a row promotes most at one position of the demonstration sentence",
    key=("src_head", "dst_head", "kind", "sentence", "position", "rank"),
    columns=(
        Column("src_head", "string", "layer.head", "head that writes"),
        Column("dst_head", "string", "layer.head", "head that reads"),
        Column(
            "kind",
            "string",
            "name",
            "virtual: A1 A0 X OV0 OV1 alone; mixed: the notebook's sum of it and the second head's direct path",
            options=("virtual", "mixed"),
        ),
        SENTENCE,
        POSITION,
        Column("rank", "int64", "index", "place in the list, from 0", 0),
        TOKEN,
        Column("logit", "float64", "logits", "what the pair adds to the token's logit"),
    ),
)
LOSS_BY_POSITION = Table(
    name="loss_by_position",
    row="the mean loss of predicting the token at one position",
    key=("step", "eval_set", "period", "position", "token_class"),
    columns=(
        STEP,
        EVAL_SET,
        PERIOD,
        POSITION,
        TOKEN_CLASS,
        Column("loss", "float64", "nats per token", "mean negative log-likelihood of the token at this position", 0),
        Column("n", "int64", "count", "tokens averaged over", 1),
    ),
)
