"""How tables name runs, heads and scores."""

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
