"""Tables of the known_answers stage: scores that are known before they are measured, bugs that must be caught, and
which definition tells heads apart that are known to differ."""

from dataclasses import replace

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import CONFIDENCE
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


def _share(name: str, meaning: str) -> Column:
    return Column(name, "float64", "share", meaning, 0, 1)


def _interval(of: str) -> tuple[Column, Column]:
    """Return both ends of an interval, heads of a model counted as one."""
    lo, hi = (
        _share(f"{of}_{end}", f"{side} end of {of}'s interval") for end, side in (("lo", "lower"), ("hi", "upper"))
    )
    return lo, hi


_DEFINITION = (
    Column(
        "metric",
        "string",
        "name",
        "what heads do or do not, and is scored",
        options=("previous_token", "induction", "copying"),
    ),
    Column("definition", "string", "name", "as in head_scores"),
    Column(
        "measured_on",
        "string",
        "name",
        "the weights alone; text; text with a copied segment; random tokens repeated with one period; several "
        "periods, of which the least score counts",
        options=("weights", "text", "repeated_text", "one_period", "least_of_periods"),
    ),
)
DEFINITION_CURVES = Table(
    name="definition_curves",
    row="one point of the ROC curve of a definition, measured in one way, over all models whose heads are known",
    key=("metric", "definition", "measured_on", "false_positives"),
    columns=(
        *_DEFINITION,
        _share("false_positives", "most heads that do not play the role which may score above a threshold"),
        _share("power", "share of heads that play it above the least such threshold"),
    ),
)
DEFINITION_POWER = Table(
    name="definition_power",
    row="one definition of a score, measured in one way, and one kind of models whose heads are known",
    key=("metric", "definition", "measured_on", "kind"),
    columns=(
        *_DEFINITION,
        Column(
            "kind",
            "string",
            "name",
            "models: wired by hand; disguised by a random basis and distractors; doing it in part; resting on [BEGIN]; "
            "noisy; trained around planted heads, or without what a role needs; look-alikes, held against all others' "
            "heads that play the role; or all",
            options=("all", "wired", "disguised", "weak", "resting", "noisy", "trained", "look_alike"),
        ),
        _share("auc", "how often a head that plays the role scores above one that does not; ties count half"),
        *_interval("auc"),
        Column("threshold", "float64", "by definition", "above which a head is called, as its source has it"),
        Column(
            "threshold_from",
            "string",
            "name",
            "the publication; this project's claims; or heads never trained, a share `level` of which lie above",
            options=("published", "project", "chance"),
        ),
        Column(
            "threshold_at_level",
            "float64",
            "by definition",
            "above which a share `level` of all known not to play it lie",
        ),
        _share("power", "share of heads that play the role above the threshold"),
        *_interval("power"),
        _share("false_positives", "share of heads that do not play it above the threshold"),
        replace(
            _share(
                "false_discoveries",
                "share of heads above the threshold that do not play the role, were `prevalence` of all heads to play "
                "it; null if none is above",
            ),
            nullable=True,
        ),
        _share(
            "power_at_level",
            "share of heads that play the role above a threshold that `level` of those that do not exceed, chosen on "
            "one half of the models of all kinds and judged on the other, both ways",
        ),
        *_interval("power_at_level"),
        _share("false_positives_at_level", "share of heads that do not play it above that threshold, judged likewise"),
        Column(
            "sentences_for_auc",
            "int64",
            "sentences",
            "of the numbers tried, the fewest with an auc within 0.01 of that of all; of each period; null: all, or of "
            "weights",
            1,
            nullable=True,
        ),
        Column(
            "sentences_for_power",
            "int64",
            "sentences",
            "the fewest with a power_at_level of 0.8; null: none, or of weights",
            1,
            nullable=True,
        ),
        Column("n_positive", "int64", "heads", "known to play the role", 1),
        Column("n_negative", "int64", "heads", "known not to play it", 1),
        Column("n_models", "int64", "models", "that these are of", 1),
        _share("level", "of false positives that the threshold of power_at_level may let through"),
        _share("prevalence", "of heads that play the role, for false_discoveries"),
        CONFIDENCE,
    ),
)
