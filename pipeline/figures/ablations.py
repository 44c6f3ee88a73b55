"""What the loss does without each head, by what is put in its place and by what is predicted."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, ink, pivot
from pipeline.figures.heads import first_seed, heads_of, name
from pipeline.figures.style import SCORES, confidence_of, new, sentence

TITLE = "What the loss does without each head"
CAPTION = (
    "First seed: loss minus the whole model's, nats per token, on {set}; a number where it is at least 0.005 and the "
    "{confidence} interval over sentences leaves out 0. Zero: the head writes nothing. Mean: its mean over all "
    "sentences and positions. Resample: what it wrote in another sentence. Frozen: zero, with later patterns as they "
    "were. Random: the control; the head stays, and a random vector as long as its output is taken away. Where zero "
    "costs much and mean nothing, the head adds a constant."
)
METHODS = {
    "zero": "zero",
    "mean": "mean",
    "resample": "resample",
    "pattern_preserving": "frozen",
    "random_direction": "random",
}
CLASSES = {"novel": "novel tokens", "first_copy": "first copies", "second_copy": "second copies"}
SETS = {
    "repeated_text": "held-out text with a copied segment",
    "natural_repeats": "held-out text that repeats itself",
    "repeated_tokens": "random tokens that repeat",
    "text": "held-out text",
}
LEAST = 0.005  # nats that are written into a cell; less would read 0.00
NUMBERS_UP_TO = 40  # heads; more leave no room for numbers


@drawn_from("ablations")
def ablations(ablations: pd.DataFrame) -> Figure:
    """Draw the differences of the loss as [head, method], a panel a class of tokens.

    Args:
        ablations: ABLATIONS of one experiment.
    """
    rows = on_copied_text(first_seed(ablations))
    if rows.empty:
        return sentence(TITLE, "No head of this experiment was taken away: the model does not predict the next token.")
    heads, classes = heads_of(rows), [each for each in CLASSES if each in set(rows["token_class"])]
    rows = rows.assign(place=[heads.index(pair) for pair in zip(rows["layer"], rows["head"], strict=True)])
    caption = CAPTION.format(set=SETS[rows["eval_set"].iloc[0]], confidence=confidence_of(rows))
    figure = new(TITLE, caption, 1.4 + 2.4 * len(classes), min(0.19 * len(heads), 12) + 2.1)
    panels = figure.subplots(1, len(classes), squeeze=False, sharey=True)[0]
    most = max(rows.loc[rows["token_class"].isin(classes), "difference"].abs().max(), 1e-9)
    norm = TwoSlopeNorm(0, -most, most)
    for axes, token_class in zip(panels, classes, strict=True):
        image = _panel(axes, rows[rows["token_class"] == token_class], [name(head) for head in heads], norm)
        axes.set(title=CLASSES[token_class], xlabel="in place of the head")
    panels[0].set_ylabel("head (layer.head)")
    figure.colorbar(image, ax=panels, label="change of the loss (nats)", aspect=30)
    return figure


def on_copied_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one set of sequences: held-out text with a copied segment, if it was measured."""
    sets = [eval_set for eval_set in SETS if eval_set in set(rows["eval_set"])]
    return rows[rows["eval_set"] == sets[0]] if sets else rows


def _panel(axes: Axes, rows: pd.DataFrame, heads: list[str], norm: TwoSlopeNorm) -> AxesImage:
    places, methods = list(range(len(heads))), list(METHODS)
    difference, lo, hi = (pivot(rows, "place", "method", side, places, methods) for side in ("difference", "lo", "hi"))
    image = heat_map(axes, difference, heads, list(METHODS.values()), SCORES, norm)
    if len(heads) <= NUMBERS_UP_TO:
        sure = ((lo > 0) | (hi < 0)) & (np.abs(difference) >= LEAST)
        numbers(axes, image, np.where(sure, difference, np.nan))
    return image


def numbers(axes: Axes, image: AxesImage, matrix: np.ndarray) -> None:
    """Write the values that are not NaN into the cells of a heat map."""
    for row, column in np.argwhere(np.isfinite(matrix)):
        value = matrix[row, column]
        colour = ink(image.cmap(image.norm(value)))
        axes.text(column, row, f"{value:z.2f}", ha="center", va="center", fontsize=6.5, color=colour)
