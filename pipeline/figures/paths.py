"""Which paths from the embedding to the logits the loss rests on."""

import numpy as np
import pandas as pd
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from pipeline.figures.ablations import CLASSES, LEAST, SETS, on_copied_text
from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot, room, write
from pipeline.figures.heads import first_seed
from pipeline.figures.style import LINE, SCORES, new, sentence

TITLE = "Which paths the loss rests on"
CAPTION = (
    "First seed, on {set}, nats per token, patterns held. A path goes through one head of layer 0 or none (rows), then "
    "one of layer 1 or none (columns). Left: what the loss gains when the path is removed and all others stay. Right: "
    "its Shapley share of the fall from even guessing, which also counts what several paths do alike. Colours are "
    "linear up to 0.01 nats, logarithmic beyond."
)
STATISTICS = {"loss_removed": "loss without the path", "shapley": "Shapley share"}
TALLEST = 1.8  # inches of a map, however many heads


@drawn_from("paths")
def paths(paths: pd.DataFrame) -> Figure:
    """Draw loss_removed and Shapley shares as [layer 0, layer 1], a panel a class of tokens.

    Args:
        paths: PATHS of one experiment.
    """
    rows = on_copied_text(first_seed(paths))
    if rows.empty:
        return sentence(TITLE, "The logits of this model are no sum over paths, or over too many to list.")
    first, second = (_passed(rows, column) for column in ("l0", "l1"))
    classes = [each for each in CLASSES if each in set(rows["token_class"])]
    caption = CAPTION.format(set=SETS[rows["eval_set"].iloc[0]])
    size = room(first) / 2, min(LINE * len(first), TALLEST)
    figure = new(TITLE, caption, len(classes) * (size[1] + 0.4) + 1.1)
    grid = figure.subplots(len(classes), 2, squeeze=False, sharex=True, sharey=True)
    for panels, (column, words) in zip(grid.T, STATISTICS.items(), strict=True):
        most = max(rows[column].abs().max(), 0.02)
        norm = SymLogNorm(0.01, vmin=-most, vmax=most)
        for axes, token_class in zip(panels, classes, strict=True):
            matrix = pivot(rows[rows["token_class"] == token_class], "l0", "l1", column, first, second)
            image = heat_map(axes, matrix, first, second, SCORES, norm, size)
            write(axes, image, np.where(np.abs(matrix) >= LEAST, matrix, np.nan), size, "z.2f")
            axes.set_title(f"{words},\n{CLASSES[token_class]}")
        panels[-1].set_xlabel("through layer 1")
        ends = {"ticks": [-most, 0, most], "format": "%.2g"}
        figure.colorbar(image, ax=panels, label="nats per token", location="bottom", aspect=20, **ends)
    for axes in grid[:, 0]:
        axes.set_ylabel("through layer 0")
    return figure


def _passed(rows: pd.DataFrame, column: str) -> list[str]:
    """Return what paths pass in one layer: directly, then its heads in order."""
    heads = sorted((int(name.split(".")[1]), name) for name in rows[column].unique() if name != "direct")
    return ["direct", *(name for _, name in heads)]
