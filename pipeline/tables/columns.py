"""Columns that several tables share."""

from pipeline.plumbing.schema import Column

LAYER = Column("layer", "int64", "index", "attention layer, from 0", 0)
HEAD = Column("head", "int64", "index", "head within its layer, from 0", 0)
STEP = Column(
    "step", "int64", "optimiser steps", "training step of the weights; null if not trained here", 0, nullable=True
)
CONFIDENCE = Column("confidence", "float64", "probability", "of the intervals in this table", 0, 1)
SIGNIFICANCE = Column("significance", "float64", "probability", "the largest q that counts as significant", 0, 1)
TOKEN_ID = Column("token_id", "int64", "index", "row of the embedding", 0)
TOKEN = Column("token", "string", "text", "the token as it is shown: Ġ a space, Ċ a line end, <0xNN> a lone byte")
EVAL_SET = Column(
    "eval_set",
    "string",
    "name",
    "sequences measured on: held-out text, held-out text with a copied segment, held-out text that repeats itself "
    "without one, random tokens repeated with a period, the demonstration sentence; other_: text from another source",
    options=(
        *("text", "repeated_text", "natural_repeats", "repeated_tokens", "demo"),
        *("other_text", "other_repeated_text"),
    ),
)
PERIOD = Column(
    "period", "int64", "tokens", "length of the repeated block; null where nothing repeats by design", 1, nullable=True
)
SENTENCE = Column("sentence", "int64", "index", "sequence within its eval_set and period, from 0", 0)
POSITION = Column("position", "int64", "index", "place in the sequence, from 0", 0)
TOKEN_CLASS = Column(
    "token_class",
    "string",
    "name",
    "what the token at this position is: of a segment's first occurrence; of a later copy of it (second_copy), but for "
    "the first token of the first copy (copy_start), which nothing foretells; or neither (other)",
    options=("other", "first_copy", "second_copy", "copy_start"),
)
SOURCE_MEANING = (
    "what fed this side: token, position, bias, L.H (an earlier head), attention.L or mlp.L (an earlier layer's "
    "sum; attention.0-L, that of the first layers of a deep model), stream (everything but position and bias), "
    "total (everything)"
)
QUERY_SOURCE = Column("query_source", "string", "name", SOURCE_MEANING)
KEY_SOURCE = Column("key_source", "string", "name", SOURCE_MEANING)
