"""Intervals over seeds, and the verdict that follows from one."""

import math

import numpy as np
from scipy import stats

RULE = (
    "reproduced: the interval over seeds lies wholly at or above the threshold, and above the chance level where one "
    "is known; not reproduced: wholly below the threshold, or not above chance; undecided: it straddles either, or "
    "there is one seed; not applicable: the model has no such part"
)


def t_interval(values: list[float], confidence: float) -> tuple[float, float, float]:
    """Mean over seeds and its Student t interval.

    Args:
        values: one number a seed.
        confidence: in (0, 1).

    Returns:
        Mean, lower and upper end; the ends are NaN for fewer than two seeds, all three NaN for none.
    """
    if not values:
        return math.nan, math.nan, math.nan
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.nan, math.nan
    error = stats.sem(values)
    if error == 0:
        return mean, mean, mean
    lo, hi = stats.t.interval(confidence, len(values) - 1, loc=mean, scale=error)
    return mean, float(lo), float(hi)


def verdict(lo: float, hi: float, threshold: float, chance: float | None) -> str:
    """Compare an interval with a threshold and, where one is known, with chance, by RULE; NaN leaves it undecided."""
    if lo >= threshold and (chance is None or lo > chance):
        return "reproduced"
    if hi < threshold or (chance is not None and hi <= chance):
        return "not reproduced"
    return "undecided"
