"""How tables name runs, heads and scores."""

from collections.abc import Iterable

import pandas as pd

RUN = ["experiment", "seed"]
HEAD = [*RUN, "layer", "head"]
SCORE = ["metric", "definition", "eval_set"]


def head_name(layer: int, head: int) -> str:
    """Return `layer.head`."""
    return f"{layer}.{head}"


def parts(frame: pd.DataFrame, names: list[str]) -> Iterable[tuple[tuple, pd.DataFrame]]:
    """Return the rows that have some columns in common, by what they have there; nothing is a value too."""
    return frame.groupby(names, dropna=False)
