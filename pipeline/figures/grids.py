"""Heat maps with labelled rows and columns, the same in every figure."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage

from pipeline.figures.style import LETTER, LINE, WIDTH

Size = tuple[float, float]  # inches across and down


def room(labels: list[str], right: float = 0.0) -> float:
    """Return about how many inches a map has across, beside its labels and what stands at the right."""
    return WIDTH - right - 0.25 - LETTER * max(map(len, labels), default=0)


def heat_map(
    axes: Axes,
    matrix: np.ndarray,
    rows: list[str],
    columns: list[str],
    cmap: str | Colormap,
    norm: Normalize,
    size: Size,
    numbers: str = "",
) -> AxesImage:
    """Draw [row, column] with a label at each row and column, or each few where they are many; NaN stays blank.

    Args:
        axes: where.
        matrix: values.
        rows: labels from the top.
        columns: labels from the left.
        cmap: colours.
        norm: from values to colours.
        size: about what the map takes.
        numbers: format of the value written into each cell, such as `z.2f` (no negative zeros), if cells are large
            enough; empty for none.
    """
    image = axes.imshow(matrix, cmap=cmap, norm=norm, aspect="auto", interpolation="nearest")
    cell = size[0] / max(len(columns), 1), size[1] / max(len(rows), 1)
    every, letters = max(1, int(np.ceil(LINE / cell[1]))), max(map(len, columns), default=0)
    axes.set_yticks(range(0, len(rows), every), rows[::every])
    turned = letters > 3 and (letters + 1) * LETTER > cell[0]
    each = max(1, int(np.ceil((LINE if turned else (letters + 1) * LETTER) / cell[0])))
    axes.set_xticks(range(0, len(columns), each), columns[::each], rotation=90 if turned else 0)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if numbers:
        write(axes, image, matrix, size, numbers)
    return image


def write(axes: Axes, image: AxesImage, matrix: np.ndarray, size: Size, numbers: str) -> None:
    """Write the values that are not NaN into the cells of a heat map; none if one would not fit.

    Args:
        axes: where.
        image: the map.
        matrix: values.
        size: about what the map takes.
        numbers: their format.
    """
    words = {place: format(value, numbers) for place, value in np.ndenumerate(matrix) if np.isfinite(value)}
    longest = 0.9 * LETTER * max(map(len, words.values()), default=0)
    if longest > size[0] / matrix.shape[1] or size[1] / matrix.shape[0] < 0.9 * LINE:
        return
    for (row, column), text in words.items():
        colour = ink(image.cmap(image.norm(matrix[row, column])))
        axes.text(column, row, text, ha="center", va="center", color=colour)


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
