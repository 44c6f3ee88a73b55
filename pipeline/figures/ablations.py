"""What the loss does without each head, by what is put in its place and by what is predicted."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import Size, heat_map, pivot, room, write
from pipeline.figures.heads import first_seed, listed_heads, name, names_of
from pipeline.figures.style import LINE, SCORES, confidence_of, new, sentence

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


@drawn_from("ablations")
def ablations(ablations: pd.DataFrame) -> Figure:
    """Draw the differences of the loss as [head, method], a panel a class of tokens.

    Args:
        ablations: ABLATIONS of one experiment.
    """
    rows = on_copied_text(first_seed(ablations))
    if rows.empty:
        return sentence(TITLE, "No head of this experiment was taken away: the model does not predict the next token.")
    classes = [each for each in CLASSES if each in set(rows["token_class"])]
    rows = rows[rows["token_class"].isin(classes)]
    heads, others = listed_heads(rows, "difference", "change of the loss")
    rows = rows.assign(place=names_of(rows))
    caption = CAPTION.format(set=SETS[rows["eval_set"].iloc[0]], confidence=confidence_of(rows)) + others
    names, height = [name(head) for head in heads], LINE * len(heads)
    figure = new(TITLE, caption, len(classes) * (height + 0.25) + 0.75)
    panels = figure.subplots(len(classes), 1, squeeze=False, sharex=True)[:, 0]
    most = max(rows["difference"].abs().max(), 1e-9)
    for axes, token_class in zip(panels, classes, strict=True):
        of_class = rows[rows["token_class"] == token_class]
        image = _panel(axes, of_class, names, TwoSlopeNorm(0, -most, most), (room(names), height))
        axes.set(title=CLASSES[token_class], ylabel="layer.head")
    panels[-1].set_xlabel("in place of the head")
    figure.colorbar(image, ax=panels, label="change of the loss (nats)", location="bottom", aspect=40)
    return figure


def on_copied_text(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one set of sequences: held-out text with a copied segment, if it was measured."""
    sets = [eval_set for eval_set in SETS if eval_set in set(rows["eval_set"])]
    return rows[rows["eval_set"] == sets[0]] if sets else rows


def _panel(axes: Axes, rows: pd.DataFrame, heads: list[str], norm: TwoSlopeNorm, size: Size) -> AxesImage:
    methods, sides = list(METHODS), ("difference", "lo", "hi")
    difference, lo, hi = (pivot(rows, "place", "method", side, heads, methods) for side in sides)
    image = heat_map(axes, difference, heads, list(METHODS.values()), SCORES, norm, size)
    sure = ((lo > 0) | (hi < 0)) & (np.abs(difference) >= LEAST)
    write(axes, image, np.where(sure, difference, np.nan), size, "z.2f")
    return image
