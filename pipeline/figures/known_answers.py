"""How far measured scores are from what they must be, on networks wired by hand."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot
from pipeline.figures.style import BLUE, GREY, LIGHT, ORANGE, new, sentence

TITLE = "What the stages measure on networks whose scores are known beforehand"
CAPTION = (
    "Left: one and the same induction head by every definition whose values lie within -1 and 1; definitions differ, "
    "and measured is expected in each. Its attention stays below 1 because its gains are finite. Right: the "
    "largest error of all scores, as a power of ten (dark is far); blank where nothing is known. Disguised networks do "
    "the same in a random basis of the residual stream, beside heads that do something else."
)
EXACT = -9.0  # power of ten below which errors look alike
KINDS = {"virtual": "virtual heads"}


@drawn_from("known_answers")
def known_answers(known_answers: pd.DataFrame) -> Figure:
    """Draw an induction head by every definition, and the largest error by model and metric.

    Args:
        known_answers: KNOWN_ANSWERS.
    """
    known = known_answers.dropna(subset=["expected", "measured"])
    known = known[known["model"] != "random_init"]
    if known.empty:
        return sentence(TITLE, "No score is known.")
    figure = new(TITLE, CAPTION, 11, 5.6)
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    _definitions(left, known[known["model"] == "induction"])
    _errors(right, known)
    return figure


def _definitions(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the scores of head 1.0, on the longest period where there are several."""
    rows = rows[(rows["layer"] == 1) & rows["src_layer"].isna() & (rows["expected"].abs() <= 1)]
    rows = rows[rows["period"].isna() | (rows["period"] == rows["period"].max())]
    rows = rows[rows["eval_set"].isin(["repeated_tokens", "weights"])].sort_values(["metric", "definition"])
    names = [f"{metric} {definition}".replace("_", " ") for metric, definition in rows[["metric", "definition"]].values]
    places = range(len(rows))
    axes.hlines(places, -1, 1, color=LIGHT, linewidth=0.5, zorder=0)
    axes.plot(rows["expected"], places, "o", color=ORANGE, markersize=7, label="expected")
    axes.plot(rows["measured"], places, ".", color=BLUE, markersize=4, label="measured")
    axes.set_yticks(places, names)
    axes.set(xlim=(-1.05, 1.05), xlabel="score")
    axes.invert_yaxis()
    axes.set_title("Head 1.0 of the wired induction network", color=GREY)
    axes.legend(loc="lower left")


def _errors(axes: Axes, known: pd.DataFrame) -> None:
    worst = known.assign(metric=known["metric"].replace(KINDS).str.replace("_", " "))
    worst["error"] = worst["absolute_error"] / worst["expected"].abs().clip(lower=1)
    worst = worst.groupby(["model", "metric"], sort=False)["error"].max().reset_index()
    worst["power"] = np.log10(worst["error"].clip(lower=10**EXACT))
    models, metrics = list(worst["model"].unique()), list(worst["metric"].unique())
    matrix = pivot(worst, "model", "metric", "power", models, metrics)
    norm = Normalize(EXACT, 0)
    heat_map(axes, matrix, [model.replace("_", " ") for model in models], metrics, "Reds", norm, "z.0f")
    axes.set_title(f"log10 of the largest error, relative beyond 1; {EXACT:.0f}: that or less", color=GREY)
