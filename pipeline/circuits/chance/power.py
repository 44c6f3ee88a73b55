"""How well a score tells heads that play a role from heads that do not, where both are known.

A head without a score, NaN, is called by no threshold, and lies below every other.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import optimize, stats

INSIDE = 1e-9


def area_under_curve(
    positive: Float[np.ndarray, "*axes head"], negative: Float[np.ndarray, "*axes other"]
) -> Float[np.ndarray, "*axes"]:
    """Return how often a head that plays the role scores above one that does not; ties count half. 0.5 by chance.

    Args:
        positive: scores of those that do.
        negative: of those that do not; NaN is returned where either are none.

    Source: Hanley and McNeil 1982, "The Meaning and Use of the Area under a ROC Curve".
    """
    n, pairs = positive.shape[-1], positive.shape[-1] * negative.shape[-1]
    if not pairs:
        return np.full(positive.shape[:-1], np.nan)
    ranks = stats.rankdata(lowest(np.concatenate([positive, negative], -1)), axis=-1)
    return np.asarray((ranks[..., :n].sum(-1) - n * (n + 1) / 2) / pairs)


def area_interval(area: float, n_positive: int, n_negative: int, confidence: float) -> tuple[float, float]:
    """Return the score interval of an area: all areas from which this one is not too far.

    Their variance is that of exponentially distributed scores, averaged over which side is the exponential's. Unlike
    resampling, it is no point where the area is 1.

    Args:
        area: 0 ... 1.
        n_positive: independent heads that play the role: models that have any, as heads of a model are not.
        n_negative: the same of heads that do not.
        confidence: of the interval.

    Source: Newcombe 2006, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part
    2", method 5.
    """
    if math.isnan(area):
        return math.nan, math.nan
    quantile = float(stats.norm.isf((1 - confidence) / 2))
    more = (n_positive + n_negative) / 2 - 1

    def beyond(other: float) -> float:
        spread = 1 + more * ((1 - other) / (2 - other) + other / (1 + other))
        return (area - other) ** 2 - quantile**2 * other * (1 - other) * spread / (n_positive * n_negative)

    # At 0 and 1 themselves no area is far from these: the other end of the interval lies inside.
    low = 0.0 if area == 0 else optimize.root_scalar(beyond, bracket=(0, min(area, 1 - INSIDE))).root
    high = 1.0 if area == 1 else optimize.root_scalar(beyond, bracket=(max(area, INSIDE), 1)).root
    return float(low), float(high)


def share_interval(share: float, n: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's interval of a share of heads, of which n are independent."""
    if math.isnan(share):
        return math.nan, math.nan
    quantile = float(stats.norm.isf((1 - confidence) / 2))
    middle, half = (
        share + quantile**2 / (2 * n),
        quantile * math.sqrt(share * (1 - share) / n + (quantile / n) ** 2 / 4),
    )
    low, high = ((middle + side * half) / (1 + quantile**2 / n) for side in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def threshold_at(negative: Float[np.ndarray, "*axes head"], level: float) -> Float[np.ndarray, "*axes"]:
    """Return the least of these scores above which no more than a share `level` of them lie."""
    ordered = np.sort(lowest(negative), -1)
    return np.asarray(ordered[..., ordered.shape[-1] - 1 - math.floor(level * ordered.shape[-1])])


def curve(
    positive: Float[np.ndarray, " head"], negative: Float[np.ndarray, " other"], levels: Float[np.ndarray, " level"]
) -> Float[np.ndarray, " level"]:
    """Return the share of heads that play a role above `threshold_at` each share of false positives: a ROC curve."""
    above = [(lowest(positive) > threshold_at(negative, level)).mean() if level < 1 else 1.0 for level in levels]
    return np.array(above)


def crossed_calls(
    scores: Float[np.ndarray, "*axes head"],
    negative: Bool[np.ndarray, " head"],
    half: Bool[np.ndarray, " head"],
    level: float,
) -> Bool[np.ndarray, "*axes head"]:
    """Return which heads are called by a threshold with a share `level` of false positives on the other half.

    Args:
        scores: of all.
        negative: which heads do not play the role.
        half: which of two halves each lies in; those of a model lie in the same one.
        level: 0 ... 1.
    """
    called = np.zeros(scores.shape, bool)
    for judged in (half, ~half):
        threshold = threshold_at(scores[..., negative & ~judged], level)
        called[..., judged] = lowest(scores[..., judged]) > threshold[..., None]
    return called


def false_discovery_rate(power: float, false_positive_rate: float, prevalence: float) -> float:
    """Return the share of heads called that do not play the role, where a share `prevalence` of all heads does.

    By Bayes; of one benchmark, it would be as large as its negatives are many. NaN where none is called.
    """
    false, true = (1 - prevalence) * false_positive_rate, prevalence * power
    return false / (false + true) if false + true > 0 else math.nan


def lowest(scores: Float[np.ndarray, "*axes"]) -> Float[np.ndarray, "*axes"]:
    """Return scores, -inf where there is none."""
    return np.where(np.isnan(scores), -np.inf, scores)


def enough(sizes: Sequence[int], reached: Sequence[bool]) -> int | None:
    """Return the least size from which on all sizes reach what is asked; None if the largest does not."""
    found = None
    for size, fulfilled in zip(sizes[::-1], reached[::-1], strict=True):
        if not fulfilled:
            return found
        found = size
    return found
