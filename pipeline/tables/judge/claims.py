"""Table of which claims hold."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE, SIGNIFICANCE

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
        Column(
            "lo",
            "float64",
            "as value",
            "lower end of its interval over seeds and sentences, null for one seed, and for two that are equal as far "
            "as checkpoints tell; of one model, the value if nothing of it is drawn. Simulated, at 0.95 it covers 0.95 "
            "to 0.98 of three seeds or more, to 0.99 of two; of shares of heads, on average, 0.98, of three seeds to "
            "0.99",
            nullable=True,
        ),
        Column("hi", "float64", "as value", "upper end of the same interval", nullable=True),
        CONFIDENCE,
        Column(
            "of_sentences",
            "float64",
            "as value",
            "half the width of the interval that the drawing of sentences alone leaves, were these the only seeds; 0 "
            "for what no sentence has to do with",
            0,
            nullable=True,
        ),
        Column(
            "chance", "float64", "as value", "what the statistic would be by chance; null if unknown", nullable=True
        ),
        Column("threshold", "float64", "as value", "the value that the rule compares with"),
        Column("since", "string", "date", "of the commit that set the threshold; one set in a request is as old as it"),
        Column(
            "least_shown",
            "float64",
            "as value",
            "how far beyond the threshold the truth must lie for a share of `power` of such studies to find it "
            "reproduced; null for one seed",
            0,
            nullable=True,
        ),
        Column("power", "float64", "probability", "share of studies that least_shown is said of", 0, 1),
        Column(
            "p",
            "float64",
            "probability",
            "of a value at least as large where the truth is the threshold; null for one seed",
            0,
            1,
            nullable=True,
        ),
        Column("q", "float64", "probability", "p by Benjamini and Hochberg, over all claims of the study", 0, 1, True),
        SIGNIFICANCE,
        Column(
            "verdict",
            "string",
            "name",
            "by the rule",
            options=("reproduced", "not reproduced", "undecided", "not applicable", "not measured"),
        ),
        Column("rule", "string", "text", "how the verdict follows from the interval"),
        Column("n_seeds", "int64", "count", "runs it was judged on", 0),
        Column("evidence", "string", "text", "heads (layer.head) and values, seed by seed; or why none was measured"),
    ),
)
