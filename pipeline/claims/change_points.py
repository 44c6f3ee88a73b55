"""When a curve changed: the step at which a measure of training went from one level to another."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class ChangePoint:
    """A change from one level to another; steps are training steps, levels in the measure's unit."""

    step: float  # half way through the change
    lo: float
    hi: float
    before: float
    after: float
    checkpoint_before: float  # the last one before `step`
    checkpoint_after: float


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
    worst = left[best] * (1 + special.fdtri(1, free, confidence) / free)
    middles = (places[start] + places[end]) / 2
    likely = middles[(left <= worst) & (np.sign(rises) == np.sign(rises[best]))]
    near = np.diff(places).min() / 4  # a middle this close to a checkpoint is at it, not beside it
    last, following = places[places < middles[best] - near].max(), places[places > middles[best] + near].min()
    ends = middles[best], min(likely.min(), last), max(likely.max(), following), last, following
    step, lo, hi, last, following = (max(float(np.exp(place) - offset), 0.0) for place in ends)
    before = float(values.mean() - rises[best] * ramps[best].mean())
    return ChangePoint(step, lo, hi, before, before + float(rises[best]), last, following)


def reach(step: np.ndarray, checkpoint_before: np.ndarray, checkpoint_after: np.ndarray) -> np.ndarray:
    """Return how far before and after a change point its change may have been, nothing being measured between.

    Args:
        step: [run], as ChangePoint has it; so the others.
        checkpoint_before: [run]; 0 counts as 1, the first step at which anything can change.
        checkpoint_after: [run].

    Returns:
        [2, run], natural logarithms of the step's ratio to either checkpoint, 0 or more.
    """
    return np.log([step / np.maximum(checkpoint_before, 1), checkpoint_after / step]).clip(0)


def grid_error(*checkpoints: tuple[float, float]) -> float:
    """Return the standard error, in doublings, that the grid of checkpoints leaves in a run's sum or difference.

    Each change is anywhere between its two checkpoints alike, in the logarithm: of a distance w, the variance is
    w^2 / 12. All runs have the same checkpoints, so that it does not average out over seeds.

    Args:
        checkpoints: of each change point, the last checkpoint before it and the first after it; 0 counts as 1.
    """
    return math.sqrt(sum(math.log2(after / max(before, 1.0)) ** 2 for before, after in checkpoints) / 12)
