"""Table of the known_answers stage: what scores must be, by construction, and what the stages measured."""

from dataclasses import replace

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.score import MEASURED_ON, METRIC, PERIOD

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
