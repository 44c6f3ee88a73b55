"""Heat maps with labelled rows and columns, the same in every figure."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage

MOST_LABELS = 64  # on one side; with more, every second or third is labelled


def heat_map(
    axes: Axes,
    matrix: np.ndarray,
    rows: list[str],
    columns: list[str],
    cmap: str | Colormap,
    norm: Normalize,
    numbers: str = "",
) -> AxesImage:
    """Draw [row, column] with a label at each row and column; NaN stays blank.

    Args:
        axes: where.
        matrix: values.
        rows: labels from the top.
        columns: labels from the left.
        cmap: colours.
        norm: from values to colours.
        numbers: format of the value written into each cell, such as `z.2f` (no negative zeros); empty for none.
    """
    image = axes.imshow(matrix, cmap=cmap, norm=norm, aspect="auto", interpolation="nearest")
    every, each = -(-len(rows) // MOST_LABELS), -(-len(columns) // MOST_LABELS)
    axes.set_yticks(range(0, len(rows), every), rows[::every])
    turned = max(map(len, columns), default=0) > 4 or len(columns) > 20
    axes.set_xticks(range(0, len(columns), each), columns[::each], rotation=90 if turned else 0)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if numbers:
        for (row, column), value in np.ndenumerate(matrix):
            if np.isfinite(value):
                colour = ink(image.cmap(image.norm(value)))
                axes.text(column, row, format(value, numbers), ha="center", va="center", fontsize=6.5, color=colour)
    return image


def ink(background: tuple[float, float, float, float] | np.ndarray) -> str:
    """Return the colour of text that can be read on a background: black or white."""
    red, green, blue, _ = background
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.55 else "white"


def pivot(frame: pd.DataFrame, row: str, column: str, value: str, rows: list, columns: list) -> np.ndarray:
    """Return values as [row, column] in the order asked for; NaN where the table has none."""
    table = frame.pivot_table(index=row, columns=column, values=value, aggfunc="mean")
    return table.reindex(index=rows, columns=columns).to_numpy(dtype=float)


def causal(frame: pd.DataFrame, value: str, size: int) -> np.ndarray:
    """Return one head's values as [query, key], NaN above the diagonal."""
    return pivot(frame, "query", "key", value, list(range(size)), list(range(size)))
