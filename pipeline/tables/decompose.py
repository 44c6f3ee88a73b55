"""Tables of the decompose stage: attention scores split by what caused them."""

from dataclasses import replace

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import (
    CONFIDENCE,
    EVAL_SET,
    HEAD,
    KEY_SOURCE,
    LAYER,
    PERIOD,
    QUERY_SOURCE,
    SENTENCE,
    STEP,
)

LO = Column(
    "lo", "float64", "as value", "lower end of the interval over sentences; null for one sentence", nullable=True
)
HI = Column(
    "hi", "float64", "as value", "upper end of the interval over sentences; null for one sentence", nullable=True
)
KEYS = Column(
    "keys",
    "string",
    "name",
    "which keys count: all, or no_begin, all but [BEGIN] (whose query does not count either): rows are then centred, "
    "and attention sums to 1, over the others; a model without [BEGIN] has all alone",
    options=("all", "no_begin"),
)

ATTENTION_TERMS = Table(
    name="attention_terms",
    row="one statistic of one source pair of one head's scores, over causal entries of held-out text",
    key=("step", "layer", "head", "query_source", "key_source", "statistic", "component", "keys"),
    columns=(
        STEP,
        LAYER,
        HEAD,
        QUERY_SOURCE,
        KEY_SOURCE,
        Column(
            "statistic",
            "string",
            "name",
            "mean, variance, absolute_mean: of the term's scores (after the 1/sqrt(d_head)), not row-centred; share: "
            "its row-centred covariance with the total over the total's row-centred variance, sums to 1 over all "
            "sources, and over stream, position and bias; naive_share: its row-centred variance over the sum of that "
            "of the terms of one set (the component), sums to 1 over that set; divergence: mean KL(pattern || pattern "
            "without the term), nats; same_token_preference: for queries whose token occurred before, mean score on "
            "earlier keys that hold it minus that on other earlier keys; distance_share: of total alone, the share "
            "that the distance between query and key explains, whatever carries it: the function of distance is fitted "
            "to even sentences and judged on odd ones, so that it may be below 0; absent where undefined",
            options=(
                "mean",
                "variance",
                "absolute_mean",
                "share",
                "naive_share",
                "divergence",
                "same_token_preference",
                "distance_share",
            ),
        ),
        Column(
            "component",
            "string",
            "name",
            "all: everything, of a naive share among the terms of all sources; of a naive share, streams: among those "
            "of stream, position and bias; of a variance, which sum to all: between_sentences: of the sentences' "
            "means; between_positions: of the means over sentences at each (query, key), which still hold about 1/n "
            "of the residual; residual: the rest",
            options=("all", "streams", "between_sentences", "between_positions", "residual"),
        ),
        KEYS,
        Column("value", "float64", "score, score squared, nats or none, by statistic", "the statistic"),
        LO,
        HI,
        CONFIDENCE,
        Column("n", "int64", "count", "sentences it was computed on", 1),
    ),
)
SENTENCE_TERMS = Table(
    name="sentence_terms",
    row="one statistic of one of the notebook's four terms of one head of layer 0, on one sentence of held-out text",
    key=("layer", "head", "query_source", "key_source", "statistic", "keys", "sentence"),
    columns=(
        LAYER,
        HEAD,
        replace(QUERY_SOURCE, meaning="what fed this side", options=("token", "position")),
        replace(KEY_SOURCE, meaning="what fed this side", options=("token", "position")),
        Column(
            "statistic",
            "string",
            "name",
            "share, naive_share: as in attention_terms; diagonal: mean row-centred score of queries with themselves, "
            "which is that at offset 0 of offset_profiles; absent where undefined",
            options=("share", "naive_share", "diagonal"),
        ),
        KEYS,
        SENTENCE,
        Column("value", "float64", "score for diagonal, else none", "the sentence's statistic"),
        Column(
            "weight",
            "float64",
            "count for diagonal, else score squared",
            "queries, or the squares that it is a share of: the set's value is the weighted mean of its sentences'",
            0,
        ),
    ),
)
OFFSET_PROFILES = Table(
    name="offset_profiles",
    row="one distance back from the query, for one source pair of one head",
    key=("step", "layer", "head", "query_source", "key_source", "keys", "offset"),
    columns=(
        STEP,
        LAYER,
        HEAD,
        QUERY_SOURCE,
        KEY_SOURCE,
        KEYS,
        Column("offset", "int64", "tokens", "query position minus key position", 0),
        Column("mean_score", "float64", "score", "mean row-centred score at this offset, queries with several keys"),
        Column(
            "mean_pattern",
            "float64",
            "probability",
            "mean attention at this offset, queries with several keys; null for a term, which has none of its own",
            0,
            1,
            nullable=True,
        ),
    ),
)
TERM_MAPS = Table(
    name="term_maps",
    row="one (query, key) entry of one term of one head on the demonstration sentence",
    key=("layer", "head", "query_source", "key_source", "query", "key"),
    columns=(
        LAYER,
        HEAD,
        QUERY_SOURCE,
        KEY_SOURCE,
        Column("query", "int64", "index", "position that looks", 0),
        Column("key", "int64", "index", "position looked at, at most the query's", 0),
        Column("query_token", "string", "text", "token at the query position"),
        Column("key_token", "string", "text", "token at the key position"),
        Column("score", "float64", "score", "the term's score, after the 1/sqrt(d_head)"),
        Column("pattern", "float64", "probability", "attention; null for a single term", 0, 1, nullable=True),
    ),
)
SENTENCE_PATTERNS = Table(
    name="sentence_patterns",
    row="one head's attention in one of the first sentences of a set",
    key=("layer", "head", "eval_set", "period", "sentence"),
    columns=(
        LAYER,
        HEAD,
        EVAL_SET,
        PERIOD,
        SENTENCE,
        Column(
            "attention",
            "list<int32>",
            "percent",
            "attention of every query to every key up to it, query by query: n (n + 1) / 2 values in a sentence of n "
            "tokens, each rounded",
            0,
            100,
        ),
    ),
)
