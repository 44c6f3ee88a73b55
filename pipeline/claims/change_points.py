"""When a curve changed: the step at which a measure of training went from one level to another."""

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class ChangePoint:
    """A change from one level to another; steps are training steps, levels in the measure's unit."""

    step: float  # half way through the change
    lo: float
    hi: float
    before: float
    after: float


def change_point(steps: np.ndarray, values: np.ndarray, confidence: float, fewest: int) -> ChangePoint | None:
    """Fit a level, then a ramp, straight in log(step + first checkpoint), then a second level.

    Every ramp from one checkpoint to a later one is tried, so no better least squares are missed; the change
    point is the middle of the best. Unlike the steepest interval it uses every checkpoint, and unlike the
    crossing of a level it needs no threshold, for slow rises as for sudden ones. The first checkpoint after
    step 0 is added to the steps because 0 has no logarithm.

    The interval holds the middles of all ramps that fit not significantly worse (F test, taking residuals as
    independent), and never less than the checkpoints next to the middle, as nothing was measured between them.
    For noise up to a fifth of the rise it covers the truth as often as it says, or more often; beyond, less.

    Args:
        steps: [checkpoint], rising, the first 0 or more.
        values: [checkpoint], the measure; NaN where it is undefined, which is left out.
        confidence: of the interval, in (0, 1).
        fewest: points that are a curve, 5 or more: two levels, two ends of a ramp, and some to judge the fit by.

    Returns:
        The best ramp, falling or rising; None for fewer points than `fewest`.

    Source: Bai and Perron 1998, "Estimating and Testing Linear Models with Multiple Structural Changes", for
    exhaustive least squares; the interval inverts a likelihood-ratio test.
    """
    known = np.isfinite(values)
    steps, values = np.asarray(steps, float)[known], np.asarray(values, float)[known]
    if len(steps) < fewest:
        return None
    offset = steps[steps > 0][0]
    places = np.log(steps + offset)
    start, end = np.triu_indices(len(steps), 1)
    ramps = np.clip((places - places[start, None]) / (places[end] - places[start])[:, None], 0, 1)
    centred = ramps - ramps.mean(1, keepdims=True)
    rises = centred @ values / (centred**2).sum(1)
    left = ((values - values.mean() - rises[:, None] * centred) ** 2).sum(1)
    best = int(left.argmin())

    free = len(steps) - 4  # two levels and the ramp's two ends were fitted
    worst = left[best] * (1 + stats.f.ppf(confidence, 1, free) / free)
    middles = (places[start] + places[end]) / 2
    likely = middles[(left <= worst) & (np.sign(rises) == np.sign(rises[best]))]
    near = np.diff(places).min() / 4  # a middle this close to a checkpoint is at it, not beside it
    lo = min(likely.min(), places[places < middles[best] - near].max())
    hi = max(likely.max(), places[places > middles[best] + near].min())
    step, lo, hi = (max(float(np.exp(place) - offset), 0.0) for place in (middles[best], lo, hi))
    before = float(values.mean() - rises[best] * ramps[best].mean())
    return ChangePoint(step, lo, hi, before, before + float(rises[best]))
