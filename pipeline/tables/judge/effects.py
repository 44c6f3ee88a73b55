"""Tables of what experiments measure, and of what they changed."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE, EVAL_SET, SIGNIFICANCE

EXPERIMENT = Column("experiment", "string", "name", "the experiment")
MEASURE = (
    Column(
        "role",
        "string",
        "name",
        "whose measure: of each run's best previous-token head or best induction head, as the claims "
        "choose them; of the pair of the induction head and the best previous-token head before it; of the model",
        options=("previous_token", "induction", "pair", "model"),
    ),
    Column(
        "metric",
        "string",
        "name",
        "of heads: as in head_scores; of the pair: as in head_pairs; of the model: loss, second_copy_gain, "
        "in_context_learning",
    ),
    Column(
        "definition",
        "string",
        "name",
        "of heads and the pair: as in head_scores and head_pairs; of the loss: the class of tokens; "
        "first_minus_second, early_minus_late: which losses are subtracted",
    ),
    Column(
        "eval_set",
        "string",
        "name",
        EVAL_SET.meaning + ", the mean over periods; weights: no sequences",
        options=(*EVAL_SET.options, "weights"),
    ),
)
INTERVALS = Table(
    name="intervals",
    row="one measure of an experiment, over its seeds",
    key=("experiment", "role", "metric", "definition", "eval_set"),
    columns=(
        EXPERIMENT,
        *MEASURE,
        Column("value", "float64", "by definition", "mean over seeds"),
        Column(
            "lo",
            "float64",
            "as value",
            "lower end of its interval: Student's t, over seeds and, where there are any, sentences; null for fewer "
            "than two seeds",
            nullable=True,
        ),
        Column("hi", "float64", "as value", "upper end of the same interval", nullable=True),
        CONFIDENCE,
        Column("n_seeds", "int64", "count", "runs that it was measured in", 1),
    ),
)
EFFECTS = Table(
    name="effects",
    row="one measure of an experiment, against the same measure of the study's first experiment",
    key=("experiment", "role", "metric", "definition", "eval_set"),
    columns=(
        EXPERIMENT,
        *MEASURE,
        Column("against", "string", "name", "the experiment it is compared with"),
        Column("value", "float64", "by definition", "mean over the experiment's seeds"),
        Column("base", "float64", "by definition", "mean over the seeds it is compared with"),
        Column("difference", "float64", "as value", "value minus base"),
        Column(
            "lo",
            "float64",
            "as value",
            "lower end of the interval of the difference, made as that of the table intervals; null for fewer "
            "than two seeds",
            nullable=True,
        ),
        Column("hi", "float64", "as value", "upper end of the same interval", nullable=True),
        CONFIDENCE,
        Column(
            "p",
            "float64",
            "probability",
            "of a difference at least as large, either way, where there is none, by the same t: three seeds make it "
            "rest on normal differences, as no test without that assumption can reach below 0.25 (paired) or 0.1; "
            "null for fewer than two seeds, or for a difference that no seed departs from",
            0,
            1,
            nullable=True,
        ),
        Column("q", "float64", "probability", "p by Benjamini and Hochberg, over the experiment's rows", 0, 1, True),
        SIGNIFICANCE,
        Column("n_seeds", "int64", "count", "runs of the experiment that has fewer, or pairs of runs", 1),
        Column("paired", "bool", "none", "whether runs of equal seed, trained on equal text, are compared in pairs"),
    ),
)
