"""How far measured scores are from what they must be, on networks wired by hand."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot, room
from pipeline.figures.style import BLUE, GREY, LIGHT, LINE, ORANGE, new, sentence

TITLE = "What the stages measure on networks whose scores are known beforehand"
CAPTION = (
    "Above: one and the same induction head by every definition whose values lie within -1 and 1; definitions differ, "
    "and measured is expected in each. Its attention stays below 1 because its gains are finite. Below: the "
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
    rows, worst = _of_the_induction_head(known[known["model"] == "induction"]), _worst(known)
    heights = LINE * len(rows) + 0.75, LINE * worst["model"].nunique() + 1.3
    figure = new(TITLE, CAPTION, sum(heights))
    above, below = figure.subplots(2, 1, height_ratios=heights)
    _definitions(above, rows)
    _errors(below, worst)
    return figure


def _of_the_induction_head(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the scores of head 1.0, on the longest period where there are several."""
    rows = rows[(rows["layer"] == 1) & rows["src_layer"].isna() & (rows["expected"].abs() <= 1)]
    rows = rows[rows["period"].isna() | (rows["period"] == rows["period"].max())]
    return rows[rows["eval_set"].isin(["repeated_tokens", "weights"])].sort_values(["metric", "definition"])


def _definitions(axes: Axes, rows: pd.DataFrame) -> None:
    names = [f"{metric} {definition}".replace("_", " ") for metric, definition in rows[["metric", "definition"]].values]
    places = range(len(rows))
    axes.hlines(places, -1, 1, color=LIGHT, linewidth=0.5, zorder=0)
    axes.plot(rows["expected"], places, "o", color=ORANGE, markersize=5, label="expected")
    axes.plot(rows["measured"], places, ".", color=BLUE, markersize=3, label="measured")
    axes.set_yticks(places, names)
    axes.set(xlim=(-1.05, 1.05), xlabel="score")
    axes.invert_yaxis()
    axes.set_title("Head 1.0 of the wired induction network", color=GREY)
    axes.legend(loc="lower left")


def _worst(known: pd.DataFrame) -> pd.DataFrame:
    """Return the largest error of each model and metric, as a power of ten."""
    worst = known.assign(metric=known["metric"].replace(KINDS).str.replace("_", " "))
    worst["error"] = worst["absolute_error"] / worst["expected"].abs().clip(lower=1)
    worst = worst.groupby(["model", "metric"], sort=False)["error"].max().reset_index()
    return worst.assign(power=np.log10(worst["error"].clip(lower=10**EXACT)))


def _errors(axes: Axes, worst: pd.DataFrame) -> None:
    models, metrics = list(worst["model"].unique()), list(worst["metric"].unique())
    matrix = pivot(worst, "model", "metric", "power", models, metrics)
    names = [model.replace("_", " ") for model in models]
    heat_map(axes, matrix, names, metrics, "Reds", Normalize(EXACT, 0), (room(names), LINE * len(names)), "z.0f")
    axes.set_title(f"log10 of the largest error, relative beyond 1;\n{EXACT:.0f}: that or less", color=GREY)
