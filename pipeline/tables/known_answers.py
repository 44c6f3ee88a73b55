"""Tables of the known_answers stage: scores that are known before they are measured, and bugs that must be caught."""

from dataclasses import replace

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.score import MEASURED_ON, METRIC, PERIOD
from pipeline.tables.verify import GATES

KNOWN_ANSWERS = Table(
    name="known_answers",
    row="one score of one head, one pair of heads or the whole model, where it is known before it is measured",
    key=("model", "layer", "head", "src_layer", "src_head", "metric", "definition", "eval_set", "period"),
    columns=(
        Column("model", "string", "name", "the experiment; disguised: in a random basis, with distractors"),
        Column("layer", "int64", "index", "layer of the head, or of the pair's reader; null: model", 0, nullable=True),
        Column("head", "int64", "index", "the head, or the pair's reader; null for the whole model", 0, nullable=True),
        Column("src_layer", "int64", "index", "layer of the pair's writer; null but for pairs", 0, nullable=True),
        Column("src_head", "int64", "index", "the pair's writer; null but for pairs", 0, nullable=True),
        replace(
            METRIC,
            meaning="what is scored; of pairs, as in head_pairs; loss: of the model; ablation, edge: its change "
            "without what a head writes, or what one head feeds another",
        ),
        Column(
            "definition",
            "string",
            "name",
            "as in head_scores and head_pairs; of the loss, mean: over all tokens predicted, "
            "order_n: the same through paths of at most n heads; of ablations, the method; of edges, what is no "
            "longer fed",
        ),
        MEASURED_ON,
        PERIOD,
        Column("expected", "float64", "by definition", "what follows from the wiring; null: see reason", nullable=True),
        Column("measured", "float64", "by definition", "what the stages gave; null where undefined", nullable=True),
        Column("absolute_error", "float64", "by definition", "their difference; null without both", 0, nullable=True),
        Column(
            "tolerance", "float64", "by definition", "largest error allowed; null: none is judged", 0, nullable=True
        ),
        Column("passed", "bool", "none", "whether the error is within the tolerance, or both values do not exist"),
        Column("reason", "string", "text", "why nothing is expected; null where something is", nullable=True),
    ),
)
INJECTED_BUGS = Table(
    name="injected_bugs",
    row="one bug, put into our reading of one random model or into what is computed of it; or that model without a bug",
    key=("bug", "model"),
    columns=(
        Column("bug", "string", "name", "what is wrong; none: nothing"),
        Column("model", "string", "name", "the tiny random model, by its family and what it has that others lack"),
        Column("family", "string", "name", "its model_type"),
        Column(
            "expected_gate",
            "string",
            "name",
            "which check of `checks` must be the first to fail; null: none may",
            options=GATES,
            nullable=True,
        ),
        Column("caught_by", "string", "name", "which was; null: none failed", options=GATES, nullable=True),
        Column("quantity", "string", "name", "check and quantity: the first that failed, or the nearest to failing"),
        Column("layer", "int64", "index", "its attention layer; null for the whole model", 0, nullable=True),
        Column(
            "max_abs_error", "float64", "as the quantity", "its largest error; null if not a number", 0, nullable=True
        ),
        Column("tolerance", "float64", "as the quantity", "largest error allowed", 0),
        Column(
            "passed", "bool", "none", "whether the gates did what they must: the bug is caught, the clean model is not"
        ),
    ),
)
