"""Which paths from the embedding to the logits the loss rests on."""

import numpy as np
import pandas as pd
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure

from pipeline.figures.ablations import CLASSES, LEAST, SETS, numbers, on_copied_text
from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot
from pipeline.figures.heads import first_seed
from pipeline.figures.style import SCORES, new, sentence

TITLE = "Which paths the loss rests on"
CAPTION = (
    "First seed, on {set}, nats per token, patterns held. A path goes through one head of layer 0 or none (rows), then "
    "one of layer 1 or none (columns). Above: what the loss gains when the path is removed and all others stay. Below: "
    "its Shapley share of the fall from even guessing, which also counts what several paths do alike. Colours are "
    "linear up to 0.01 nats, logarithmic beyond; cells of less than 0.005 nats have no number."
)
STATISTICS = {"loss_removed": "loss without the path", "shapley": "Shapley share"}
NUMBERS_UP_TO = 12  # heads of a layer; more leave no room for numbers


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
    width, height = max(0.32 * len(second) + 0.7, 1.7), 0.22 * len(first) + 0.7
    figure = new(TITLE, caption, len(classes) * width + 1.2, 2 * height + 1.3)
    grid = figure.subplots(2, len(classes), squeeze=False)
    for panels, (column, words) in zip(grid, STATISTICS.items(), strict=True):
        most = max(rows[column].abs().max(), 0.02)
        norm = SymLogNorm(0.01, vmin=-most, vmax=most)
        for axes, token_class in zip(panels, classes, strict=True):
            matrix = pivot(rows[rows["token_class"] == token_class], "l0", "l1", column, first, second)
            image = heat_map(axes, matrix, first, second, SCORES, norm)
            if max(len(first), len(second)) <= NUMBERS_UP_TO + 1:
                numbers(axes, image, np.where(np.abs(matrix) >= LEAST, matrix, np.nan))
            axes.set(title=f"{words}, {CLASSES[token_class]}", xlabel="through layer 1")
        panels[0].set_ylabel("through layer 0")
        figure.colorbar(image, ax=panels, label="nats per token", aspect=15)
    return figure


def _passed(rows: pd.DataFrame, column: str) -> list[str]:
    """Return what paths pass in one layer: directly, then its heads in order."""
    heads = sorted((int(name.split(".")[1]), name) for name in rows[column].unique() if name != "direct")
    return ["direct", *(name for _, name in heads)]
