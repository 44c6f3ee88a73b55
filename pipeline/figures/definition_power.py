"""Which definition of a score tells heads that play a role from heads that do not."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.claims.definition_power import ALL, DEFINITION, best_ways
from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot, write
from pipeline.figures.style import BLUE, GREY, LIGHT, LINE, confidence_of, new, percent, sentence

TITLE = "Which score to take: {best}"
NOTHING = "Which score to take"
CAPTION = (
    "Heads known beforehand to play a role or not, in up to {models} models. Of each role the {listed} best "
    "definitions, in the way that tells heads apart best. Left: area under the ROC curve over all models, bars "
    "{confidence} intervals, dashes a guess. Right: share of the heads that play the role found at {level} false "
    "positives, by kind of models, without a number all of them; the threshold is chosen on one half of all models "
    "and judged on the other; last column: look-alikes that it lets through, as few as can be; n: the sentences that "
    "bring the area to within 0.01 of its limit, -: of the weights. Below: the ROC curves, up to {shown} false "
    "positives; blue: the best."
)
MISTAKEN = "look_alike"
LISTED = 8  # definitions of a role
SHOWN = 0.3  # share of false positives up to which curves are drawn
NAMES = {"previous_token": "Previous token", "induction": "Induction", "copying": "Copying"}
WAYS = {
    "weights": "weights",
    "text": "text",
    "repeated_text": "copied text",
    "one_period": "one period",
    "least_of_periods": "periods",
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
        listed=LISTED,
    )
    listed = {metric: best[best["metric"] == metric].head(LISTED) for metric in metrics}
    counts = [len(rows) for rows in listed.values()]
    heights = 1.2 * LINE * sum(counts) + 0.25 * len(metrics) + 0.85, 1.2
    figure = new(title, caption, sum(heights))
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    panels = upper.subplots(len(metrics), 2, squeeze=False, height_ratios=counts, width_ratios=(1, 1.4))
    curves = lower.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    kinds = [kind for kind in definition_power["kind"].unique() if kind not in (ALL, MISTAKEN)]
    for (metric, rows), (left, right), roc in zip(listed.items(), panels, curves, strict=True):
        _areas(left, rows)
        _curves(roc, definition_curves.merge(rows[DEFINITION], on=DEFINITION), rows.iloc[0])
        left.set_title(NAMES[metric])
        roc.set(title=NAMES[metric], xlabel="false positives")
        of_kinds = definition_power.merge(rows[DEFINITION], on=DEFINITION).assign(row=_labels)
        _kinds(right, of_kinds, rows, kinds, last=metric == metrics[-1])
    panels[-1, 0].set_xlabel("area under\nthe ROC curve")
    curves[0].set_ylabel("power")
    panels[0, 1].set_title("power, %; n", loc="right")
    return figure


def named(row: pd.Series) -> str:
    """Return a definition and how it is measured, in words."""
    return f"{row['definition'].replace('_', ' ')} ({WAYS[row['measured_on']]})"


def _areas(axes: Axes, rows: pd.DataFrame) -> None:
    places = range(len(rows))
    axes.axvline(0.5, color=GREY, linestyle=(0, (2, 1)), linewidth=0.8)
    axes.hlines(places, 0.4, 1, color=LIGHT, linewidth=0.5, zorder=0)
    axes.hlines(places, rows["auc_lo"], rows["auc_hi"], color=BLUE, linewidth=0.9)
    axes.plot(rows["auc"], places, "o", color=BLUE, markersize=2.5)
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


def _kinds(axes: Axes, of_kinds: pd.DataFrame, rows: pd.DataFrame, kinds: list[str], last: bool) -> None:
    """Draw the power by kinds of models, the look-alikes let through and, at the right, the sentences needed."""
    of_kinds = of_kinds.assign(shown=of_kinds["power_at_level"])
    mistaken = of_kinds["kind"] == MISTAKEN
    of_kinds.loc[mistaken, "shown"] = of_kinds.loc[mistaken, "false_positives_at_level"]
    columns, order = [*kinds, MISTAKEN], list(_labels(rows))
    matrix = 100 * pivot(of_kinds, "row", "kind", "shown", order, columns)
    names = [kind.replace("_", "-") + "s" * (kind == MISTAKEN) if last else "" for kind in columns]
    size = 0.2 * len(columns), 1.2 * LINE * len(rows)
    image = heat_map(axes, matrix, [""] * len(rows), names, "Blues", Normalize(0, 100), size)
    write(axes, image, np.where(matrix < 99.5, matrix, np.nan), size, "z.0f")  # three digits are wider than a cell
    needed = ["all" if pd.isna(n) else f"{n:d}" for n in rows["sentences_for_auc"]]
    texts = ["-" if way == "weights" else n for way, n in zip(rows["measured_on"], needed, strict=True)]
    axes.set_yticks(range(len(rows)), texts)
    axes.yaxis.tick_right()
    axes.tick_params(length=0)
