"""Every score of every head, beside what chance would give."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, ink
from pipeline.figures.heads import heads_of, name
from pipeline.figures.style import SCORES, new, sentence

TITLE = "What each head does: every score, by every definition"
CAPTION = (
    "Numbers: the score, mean over periods where there are several. Colour: the score minus chance, over the largest "
    "such distance in the row, any seed. Chance: even attention over all that may be looked at or, for weights, random "
    "ones. No begin: of attention that does not rest on [BEGIN]. Attention is measured on held-out text, induction on "
    "repeated random tokens. A head's number means nothing across seeds."
)
# Each score on one set of sequences: the first of these it was measured on.
EVAL_SETS = ("text", "weights", "repeated_tokens", "repeated_text", "demo")
INDUCTION_SETS = ("repeated_tokens", "repeated_text", "text", "demo")
METRICS = (
    "previous_token",
    "current_token",
    "first_token",
    "duplicate_token",
    "induction",
    "copying",
    "same_token_preference",
    "long_prefix",
    "copy_suppression",
    "direct_copying",
    "entropy",
    "distance",
    "inactive",
    "relation",
)
NUMBERS_UP_TO = 40  # heads; more leave no room for numbers


@drawn_from("head_scores")
def head_scores(head_scores: pd.DataFrame) -> Figure:
    """Draw scores as [metric and definition, head], a panel a seed.

    Args:
        head_scores: HEAD_SCORES of one experiment.
    """
    scores = _one_set_each(head_scores)
    if scores.empty:
        return sentence(TITLE, "No head of this experiment was scored.")
    heads, seeds = heads_of(scores), sorted(scores["seed"].unique())
    means = scores.groupby(["row", "seed", "layer", "head"])[["value", "chance"]].mean()
    chance = means["chance"].groupby("row").mean()
    values = means["value"].unstack(["layer", "head"]).reindex(columns=heads)
    distance = values.sub(chance.fillna(0), axis=0, level="row")
    distance = distance.div(distance.abs().max(axis=1).groupby("row").max().replace(0, 1), axis=0, level="row")

    order = list(dict.fromkeys(scores["row"]))
    labels = [f"{row} ({chance[row]:.2g})" if np.isfinite(chance[row]) else row for row in order]
    height = 0.19 * len(order) + 0.55
    figure = new(TITLE, CAPTION, max(3.6 + min(0.37 * len(heads), 14), 7), height * len(seeds) + 1.2)
    panels = figure.subplots(len(seeds), 1, squeeze=False)[:, 0]
    for axes, seed in zip(panels, seeds, strict=True):
        colours = distance.xs(seed, level="seed").reindex(order).to_numpy()
        image = heat_map(axes, colours, labels, [name(head) for head in heads], SCORES, Normalize(-1, 1))
        axes.set(title=f"seed {seed}", ylabel="score (in brackets: chance)")
        if len(heads) <= NUMBERS_UP_TO:
            _numbers(axes, image, values.xs(seed, level="seed").reindex(order).to_numpy(), colours)
    panels[-1].set_xlabel("head (layer.head)")
    figure.colorbar(image, ax=panels, label="distance from chance, over the row's largest", aspect=40, shrink=0.9)
    return figure


def _one_set_each(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep one set of sequences for each score; name its row; order rows by metric."""
    parts = []
    for (metric, definition), rows in frame.groupby(["metric", "definition"], sort=True):
        measured = set(rows.dropna(subset="value")["eval_set"])
        sets = INDUCTION_SETS if metric == "induction" else EVAL_SETS
        choice = [eval_set for eval_set in sets if eval_set in measured]
        if choice:
            words = f"{metric}: {definition}".replace("_", " ")
            parts.append(rows[rows["eval_set"] == choice[0]].assign(row=words, place=METRICS.index(metric)))
    return pd.concat(parts).sort_values("place", kind="stable") if parts else frame.assign(row="")


def _numbers(axes: Axes, image: AxesImage, values: np.ndarray, colours: np.ndarray) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = ink(image.cmap(image.norm(colours[row, column])))
            text = f"{value:z.2f}" if abs(value) < 10 else f"{value:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=colour)
