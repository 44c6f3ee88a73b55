"""Which definition of a score tells heads that play a role from heads that do not."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.claims.definition_power import ALL, DEFINITION, best_ways
from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot
from pipeline.figures.style import BLACK, BLUE, GREY, LIGHT, confidence_of, new, percent, sentence

TITLE = "Which score to take: {best}"
NOTHING = "Which score to take"
CAPTION = (
    "Heads known beforehand to play a role or not, in up to {models} models. Every definition in the way that tells "
    "them apart best. Left: area under the ROC curve over all models, bars {confidence} intervals, dashes a guess. "
    "Middle: share of the heads that play the role found at {level} false positives, by kind of models; the threshold "
    "is chosen on one half of all models and judged on the other; beside it, look-alikes that it lets through, and n, "
    "the sentences that bring the area to within 0.01 of its limit; -: of the weights. Right: the ROC curves, up to "
    "{shown} false positives; blue: the best."
)
MISTAKEN = "look_alike"
SHOWN = 0.3  # share of false positives up to which curves are drawn
NAMES = {"previous_token": "Previous token", "induction": "Induction", "copying": "Copying"}
WAYS = {
    "weights": "weights",
    "text": "text",
    "repeated_text": "text with copies",
    "one_period": "one period",
    "least_of_periods": "several periods",
}


@drawn_from("definition_power", "definition_curves")
def definition_power(definition_power: pd.DataFrame, definition_curves: pd.DataFrame) -> Figure:
    """Draw, for every function of heads, definitions as rows, and their ROC curves.

    Args:
        definition_power: DEFINITION_POWER.
        definition_curves: DEFINITION_CURVES.
    """
    if definition_power.empty:
        return sentence(NOTHING, "No definition was judged.")
    best = best_ways(definition_power)
    metrics = [metric for metric in NAMES if (best["metric"] == metric).any()]
    first = [best[best["metric"] == metric].iloc[0] for metric in metrics]
    title = TITLE.format(best="; ".join(f"{NAMES[row['metric']].lower()}, {named(row)}" for row in first))
    caption = CAPTION.format(
        models=definition_power["n_models"].max(),
        confidence=confidence_of(definition_power),
        level=percent(definition_power["level"].iloc[0]),
        shown=percent(SHOWN),
    )
    counts = [(best["metric"] == metric).sum() for metric in metrics]
    figure = new(title, caption, 9.5, 2.2 + 0.4 * len(metrics) + 0.19 * sum(counts))
    panels = figure.subplots(len(metrics), 3, squeeze=False, height_ratios=counts, width_ratios=(1, 1.2, 0.6))
    kinds = [kind for kind in definition_power["kind"].unique() if kind not in (ALL, MISTAKEN)]
    for metric, (left, right, roc) in zip(metrics, panels, strict=True):
        rows = best[best["metric"] == metric]
        _areas(left, rows)
        _curves(roc, definition_curves.merge(rows[DEFINITION], on=DEFINITION), rows.iloc[0])
        left.set_title(NAMES[metric])
        of_kinds = definition_power.merge(rows[DEFINITION], on=DEFINITION).assign(row=_labels)
        matrix = pivot(of_kinds, "row", "kind", "power_at_level", list(_labels(rows)), kinds)
        labels = [kind if metric == metrics[-1] else "" for kind in kinds]
        heat_map(right, matrix, [""] * len(rows), labels, "Blues", Normalize(0, 1), "z.2f")
        mistaken = of_kinds[of_kinds["kind"] == MISTAKEN].set_index("row")["false_positives_at_level"]
        _beside(right, rows.assign(mistaken=mistaken.reindex(list(_labels(rows))).to_numpy()), len(kinds))
    panels[-1, 0].set_xlabel("area under the ROC curve")
    panels[-1, 2].set_xlabel("false positives")
    panels[0, 2].set_title("power")
    panels[0, 1].set_title(f"power at {percent(definition_power['level'].iloc[0])} false positives")
    return figure


def named(row: pd.Series) -> str:
    """Return a definition and how it is measured, in words."""
    return f"{row['definition'].replace('_', ' ')} ({WAYS[row['measured_on']]})"


def _areas(axes: Axes, rows: pd.DataFrame) -> None:
    places = range(len(rows))
    axes.axvline(0.5, color=GREY, linestyle=(0, (2, 1)), linewidth=0.8)
    axes.hlines(places, 0.4, 1, color=LIGHT, linewidth=0.5, zorder=0)
    axes.hlines(places, rows["auc_lo"], rows["auc_hi"], color=BLUE, linewidth=1.2)
    axes.plot(rows["auc"], places, "o", color=BLUE, markersize=3.5)
    axes.set_yticks(places, [named(row) for _, row in rows.iterrows()])
    axes.set(xlim=(min(0.45, rows["auc_lo"].min() - 0.02), 1.02), ylim=(len(rows) - 0.5, -0.5))
    axes.tick_params(axis="y", length=0)


def _curves(axes: Axes, points: pd.DataFrame, best: pd.Series) -> None:
    for _, of_definition in points.groupby(DEFINITION, sort=False):
        first = (of_definition[DEFINITION].iloc[0] == best[DEFINITION]).all()
        colour, width, above = (BLUE, 1.4, 3) if first else (GREY, 0.6, 2)
        ordered = of_definition.sort_values("false_positives")
        axes.plot(ordered["false_positives"], ordered["power"], color=colour, linewidth=width, zorder=above)
    axes.plot([0, 1], [0, 1], color=LIGHT, linewidth=0.8, linestyle=(0, (2, 1)))
    axes.set(xlim=(-0.01, SHOWN), ylim=(0, 1.03))


def _labels(rows: pd.DataFrame) -> pd.Series:
    return rows["definition"] + " " + rows["measured_on"]


def _beside(axes: Axes, rows: pd.DataFrame, place: int) -> None:
    """Write beside the heat map how many look-alikes each definition lets through, and the sentences it needs."""
    columns = {"look-alikes": 0.2, "n": 1.3}
    for number, row in enumerate(rows.to_dict("records")):
        needed = "all" if pd.isna(row["sentences_for_auc"]) else f"{row['sentences_for_auc']:d}"
        words = (f"{row['mistaken']:.2f}", "-" if row["measured_on"] == "weights" else needed)
        for text, right in zip(words, columns.values(), strict=True):
            axes.text(place + right, number, text, ha="center", va="center", fontsize=7, color=BLACK)
    for text, right in columns.items():
        axes.text(place + right, -0.75, text, ha="center", va="bottom", fontsize=7, color=GREY)
    axes.set_xlim(-0.5, place + 1.7)
