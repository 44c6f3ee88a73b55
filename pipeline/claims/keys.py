"""How tables name runs, heads and scores."""

from collections.abc import Iterable

import pandas as pd

RUN = ["experiment", "seed"]
HEAD = [*RUN, "layer", "head"]
SCORE = ["metric", "definition", "eval_set"]


def without_begin(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows over all keys but [BEGIN] of runs that have such, over all keys of the other runs."""
    chosen = rows["keys"] == "no_begin"
    return rows[chosen == chosen.groupby([rows[name] for name in RUN]).transform("any")]


def head_name(layer: int, head: int) -> str:
    """Return `layer.head`."""
    return f"{layer}.{head}"


def of_unit(rows: pd.DataFrame, column: str, unit: str) -> pd.DataFrame:
    """Return the rows of one head or neuron, named `layer.number`; `column` has the number."""
    layer, number = map(int, unit.split("."))
    return rows[(rows["layer"] == layer) & (rows[column] == number)]


def parts(frame: pd.DataFrame, names: list[str]) -> Iterable[tuple[tuple, pd.DataFrame]]:
    """Return the rows that have some columns in common, by what they have there; nothing is a value too."""
    return frame.groupby(names, dropna=False)
