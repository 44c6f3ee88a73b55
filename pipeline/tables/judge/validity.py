"""Table of how well what weights and patterns show tells what the loss does."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.ablate import CLASS
from pipeline.tables.columns import CONFIDENCE, EVAL_SET, SIGNIFICANCE

EXPERIMENT = Column("experiment", "string", "name", "the experiment whose runs were pooled")
MEASURED_ON = Column(
    "eval_set",
    "string",
    "name",
    "sequences the score was measured on, mean over periods; weights: none",
    options=(*EVAL_SET.options, "weights"),
)
ON_EFFECT = (
    Column(
        "effect",
        "string",
        "name",
        "what was done to the head (method of ablations) or to the pair (edge_ and kind of edges); its effect is "
        "the difference of the loss",
        options=(
            *("zero", "mean", "resample", "pattern_preserving", "random_direction"),
            *("edge_Q", "edge_K", "edge_V"),
        ),
    ),
    Column("effect_set", "string", "name", "sequences the effect was measured on", options=EVAL_SET.options),
    CLASS,
    Column(
        "statistic",
        "string",
        "name",
        "spearman: rank correlation of score and effect; auroc: how often, of two heads, the one whose effect's "
        "interval lies above 0 has the higher score than the one whose does not. Within a run, mean over runs",
        options=("spearman", "auroc"),
    ),
)
VALIDITY = Table(
    name="validity",
    row="one score of heads, or of pairs of heads, beside one causal effect: how well the one tells the other",
    key=("experiment", "metric", "definition", "eval_set", "effect", "effect_set", "token_class", "statistic"),
    columns=(
        EXPERIMENT,
        Column("metric", "string", "name", "metric of head_scores or head_pairs"),
        Column("definition", "string", "name", "definition of head_scores or head_pairs"),
        MEASURED_ON,
        *ON_EFFECT,
        Column("value", "float64", "none", "the statistic; chance is 0 for spearman, 0.5 for auroc", -1, 1),
        Column(
            "lo",
            "float64",
            "none",
            "lower end of the interval: bootstrap over runs and heads within, Student's t; null for one run",
            -1,
            1,
            nullable=True,
        ),
        Column("hi", "float64", "none", "upper end of the interval; null for one run", -1, 1, nullable=True),
        CONFIDENCE,
        Column("control", "float64", "none", "mean of the statistic with each run's heads in random order", -1, 1),
        Column(
            "control_hi", "float64", "none", "the same, at the quantile `confidence`: what random heads reach", -1, 1
        ),
        Column(
            "p", "float64", "probability", "of a value as far from chance for heads in random order, two-sided", 0, 1
        ),
        Column("q", "float64", "probability", "p by Benjamini and Hochberg, over the experiment's rows", 0, 1),
        SIGNIFICANCE,
        Column("n", "int64", "count", "heads, or pairs of heads, of all runs", 1),
        Column("n_seeds", "int64", "count", "runs pooled: those where both sides vary", 1),
    ),
)
FORETELLING = Table(
    name="foretelling",
    row="one causal effect: the score that foretells it best, chosen on other runs than it is judged on",
    key=("experiment", "unit", "effect", "effect_set", "token_class", "statistic"),
    columns=(
        EXPERIMENT,
        Column("unit", "string", "name", "what has scores and effects", options=("head", "pair")),
        *ON_EFFECT,
        Column("metric", "string", "name", "metric of the score that most runs were judged by"),
        Column("definition", "string", "name", "its definition"),
        MEASURED_ON,
        Column(
            "chosen",
            "float64",
            "none",
            "share of runs for which all other runs choose this score; of one run, of its halves (every second unit)",
            0,
            1,
        ),
        Column(
            "value", "float64", "none", "the statistic in the run left out, of the score chosen without it: mean", -1, 1
        ),
        Column(
            "lo",
            "float64",
            "none",
            "lower end of the interval: bootstrap over runs and units within, Student's t; null for one run",
            -1,
            1,
            nullable=True,
        ),
        Column("hi", "float64", "none", "upper end of the interval; null for one run", -1, 1, nullable=True),
        CONFIDENCE,
        Column("scores", "int64", "count", "scores to choose from: those known of every unit that has the effect", 1),
        Column("n", "int64", "count", "heads, or pairs of heads, of all runs", 1),
        Column("n_seeds", "int64", "count", "runs", 1),
    ),
)
