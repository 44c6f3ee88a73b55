"""Table of which claims hold."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE

CLAIMS = Table(
    name="claims",
    row="one claim, judged on one experiment",
    key=("experiment", "claim"),
    columns=(
        Column("experiment", "string", "name", "the experiment it was judged on"),
        Column("claim", "string", "name", "short name of the claim"),
        Column("statement", "string", "text", "the claim in words"),
        Column("statistic", "string", "text", "what was measured, in words"),
        Column("value", "float64", "by statistic", "mean over seeds; null if undefined", nullable=True),
        Column("lo", "float64", "as value", "lower end of the t interval over seeds; null for one seed", nullable=True),
        Column("hi", "float64", "as value", "upper end of the t interval over seeds; null for one seed", nullable=True),
        CONFIDENCE,
        Column(
            "chance", "float64", "as value", "what the statistic would be by chance; null if unknown", nullable=True
        ),
        Column("threshold", "float64", "as value", "the value that the rule compares with"),
        Column(
            "verdict",
            "string",
            "name",
            "by the rule",
            options=("reproduced", "not reproduced", "undecided", "not applicable"),
        ),
        Column("rule", "string", "text", "how the verdict follows from the interval"),
        Column("n_seeds", "int64", "count", "runs it was judged on", 0),
        Column("evidence", "string", "text", "heads (layer.head) and values, seed by seed"),
    ),
)
