"""Which of two events of training came first, over seeds."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import special

from pipeline.claims.change_points import reach
from pipeline.claims.emergence import CHECKPOINTS, EVENTS, came_before, geometric_mean

SHARE, FACTOR = ["share", "lo", "hi"], ["factor", "factor_lo", "factor_hi"]
COLUMNS = ["experiment", "first", "second", "n_seeds", "before", "after", *SHARE, *FACTOR]


def emergence_order(emergence: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Compare every two events: in how many runs one came first, and by what factor of steps.

    In a run, one event came before another if its interval ends where the other's begins, or earlier; intervals
    that overlap are a tie. The factor needs no such resolution: that of many runs shows a lag smaller than the
    distance of checkpoints, if the runs are spread over several.

    Args:
        emergence: EMERGENCE of a study.
        confidence: of the intervals: Clopper and Pearson's of the share, that of `geometric_mean` of the factor. With
            three runs of three the share's lower end is 0.29 at 95 %: three seeds settle no order.

    Returns:
        EMERGENCE_ORDER: a row for every two events that both happened in at least one run of an experiment.
    """
    names = ["step", "lo", "hi", *CHECKPOINTS]
    runs = emergence.dropna(subset=["seed", "step"]).astype(dict.fromkeys(names, float))
    rows = []
    for experiment, seeds in runs.groupby("experiment"):
        columns = {name: seeds.pivot(index="seed", columns="event", values=name) for name in names}
        for first, second in combinations([event for event in EVENTS if event in columns["step"]], 2):
            when = [pd.DataFrame({name: table[event] for name, table in columns.items()}) for event in (first, second)]
            both = when[0]["step"].notna() & when[1]["step"].notna()
            if both.any():
                row = {"experiment": experiment, "first": first, "second": second}
                rows.append(row | _ordered(when[0][both], when[1][both], confidence))
    return pd.DataFrame(rows, columns=COLUMNS)


def _ordered(first: pd.DataFrame, second: pd.DataFrame, confidence: float) -> dict:
    """Return the columns of two events, given step, lo, hi and checkpoints of each in the same runs."""
    before, after = int(came_before(first["hi"], second["lo"]).sum()), int(came_before(second["hi"], first["lo"]).sum())
    share, lo, hi = math.nan, math.nan, math.nan
    if before + after:
        share = before / (before + after)
        tail = (1 - confidence) / 2
        lo = special.betaincinv(before, after + 1, tail) if before else 0.0
        hi = special.betaincinv(before + 1, after, 1 - tail) if after else 1.0
    (first_below, first_above), (second_below, second_above) = (
        reach(*event[["step", *CHECKPOINTS]].to_numpy().T) for event in (first, second)
    )
    below, above = np.stack([second_below, first_above]), np.stack([second_above, first_below])
    factor, shortest, longest = geometric_mean(second["step"] / first["step"], confidence, below, above)
    return {
        "n_seeds": len(first),
        "before": before,
        "after": after,
        "share": share,
        "lo": lo,
        "hi": hi,
        "factor": factor,
        "factor_lo": shortest,
        "factor_hi": longest,
    }
