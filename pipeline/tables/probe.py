"""Tables of the probe stage: the sequences every model of a study is measured on."""

from pipeline.plumbing.schema import Table
from pipeline.tables.columns import EVAL_SET, PERIOD, POSITION, SENTENCE, TOKEN, TOKEN_CLASS, TOKEN_ID

SEQUENCES = Table(
    name="sequences",
    row="one token of one sequence",
    key=("eval_set", "period", "sentence", "position"),
    columns=(EVAL_SET, PERIOD, SENTENCE, POSITION, TOKEN_ID, TOKEN, TOKEN_CLASS),
)
LOSS_SEQUENCES = Table(
    name="loss_sequences",
    row="one token of one of the many sequences that only losses are measured on; of a set that `sequences` has too, "
    "the first are the same, and all sets of held-out text are made of the same windows",
    key=("eval_set", "period", "sentence", "position"),
    columns=(EVAL_SET, PERIOD, SENTENCE, POSITION, TOKEN_ID, TOKEN_CLASS),
)
