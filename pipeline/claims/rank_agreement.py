"""How far two rankings of the heads of some runs agree, how sure that is, and what random heads reach.

Heads are ranked within their run, since labels and scales differ between runs, and statistics are averaged
over runs. A resample draws runs, and heads within each; the control puts each run's heads in random order,
which keeps both rankings and breaks the tie between them.

Source: Spearman 1904; the area under the curve as a rank statistic: Hanley and McNeil 1982, "The Meaning and Use
of the Area under a ROC Curve".
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pipeline.claims.bootstrap import resampled

CHANCE = {"spearman": 0.0, "auroc": 0.5}
LEAST = {"spearman": -1.0, "auroc": 0.0}


@dataclass(frozen=True)
class Run:
    """One run's units (heads, or pairs of heads), in one order."""

    scores: np.ndarray  # [score, unit]
    effects: np.ndarray  # [effect, unit], nats per token
    hits: np.ndarray  # [effect, unit], 1 where the effect's interval lies above 0

    def of(self, units: np.ndarray, scores: np.ndarray) -> "Run":
        """Return the same for some units and scores."""
        return Run(self.scores[scores][:, units], self.effects[:, units], self.hits[:, units])


def agreement(run: Run, counts: np.ndarray, order: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Compare each score with each effect over one run's units.

    Args:
        run: its scores and effects.
        counts: [draw, unit], how often each unit counts.
        order: [draw, unit], whose score each unit gets; None for its own.

    Returns:
        spearman and auroc, [draw, score, effect]; NaN where a side does not vary, or no effect counts as one.
    """
    one, other = _ranks(run.scores, counts), _ranks(run.effects, counts)
    if order is not None:
        one = np.take_along_axis(one, order[:, None], 2)
    total, weight = counts.sum(1)[:, None, None], counts[:, None]
    deviations = [ranks - (ranks * weight).sum(2, keepdims=True) / total for ranks in (one, other)]
    products = (deviations[0] * weight) @ deviations[1].swapaxes(1, 2)
    one_size, other_size = (np.sqrt((part**2 * weight).sum(2)) for part in deviations)
    sizes = one_size[:, :, None] * other_size[:, None]
    # Mann and Whitney: the ranks of those with an effect, less what they would have among themselves.
    hits = (run.hits @ counts.T).T[:, None]
    above = (one * weight) @ run.hits.T - hits**2 / 2
    pairs = hits * (total - hits)
    divided = {"spearman": (products, sizes), "auroc": (above, pairs)}
    return {
        name: np.divide(value, by, out=np.full(value.shape, math.nan), where=np.broadcast_to(by > 1e-9, value.shape))
        for name, (value, by) in divided.items()
    }


def _ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Rank values [row, unit] among units that count so often: [draw, row, unit], ties in the middle."""
    one, other = values[:, :, None], values[:, None]
    below = (other < one) + 0.5 * (other == one)
    return np.einsum("rij,dj->dri", below, counts, optimize=True)


def pooled(
    runs: list[Run], resamples: int, permutations: int, generator: np.random.Generator
) -> dict[str, dict[str, np.ndarray]]:
    """Compare scores with effects over the heads of some runs.

    Args:
        runs: of the same scores and effects; those of fewer than two units do not count.
        resamples: of runs and units.
        permutations: of units within their runs.
        generator: of both.

    Returns:
        For spearman and auroc, [score, effect] each: value, lo and hi (95 %, Student's t; NaN for one run),
        control and control_hi (mean and 95 % point for units in random order), p (two-sided, by the same),
        seeds (runs where the statistic is defined). Empty without runs.
    """
    runs = [run for run in runs if run.scores.shape[1] > 1]
    found, drawn, control = [], [], []
    for run in runs:
        size = run.scores.shape[1]
        once = np.ones((1, size))
        found.append(agreement(run, once))
        drawn.append(agreement(run, resampled(size, resamples, generator)))
        order = generator.permuted(np.tile(np.arange(size), (permutations, 1)), axis=1)
        control.append(agreement(run, np.broadcast_to(once, order.shape), order))
    if not runs:
        return {}
    counts, units = resampled(len(runs), resamples, generator), sum(run.scores.shape[1] for run in runs)
    return {
        name: _columns(
            name, *(np.stack([draw[name] for draw in each]) for each in (found, drawn, control)), counts, units
        )
        for name in CHANCE
    }


def _columns(
    name: str, found: np.ndarray, drawn: np.ndarray, control: np.ndarray, counts: np.ndarray, units: int
) -> dict[str, np.ndarray]:
    """Average over runs, [run, draw, score, effect] each, and say how sure that is and what chance gives."""
    found = found[:, 0]
    value, seeds = _mean(found), np.isfinite(found).sum(0)
    # Draws of heads move each run's value, and with it the mean; draws of runs find values that heads have moved
    # already, so that of what they add as much again is taken off: what is left is how the runs themselves differ.
    of_heads = _variance(drawn, 1).sum(0) / np.maximum(seeds, 1) ** 2
    of_both = _variance(_mean(drawn, counts.T[:, :, None, None]), 0)
    half = _half_width(of_heads, np.maximum(of_both - 2 * of_heads, 0.0), units, seeds)
    chances = _mean(control)
    distance = np.abs(value - CHANCE[name])
    # What is as far but for rounding is as far.
    as_far = (np.abs(chances - CHANCE[name]) >= distance - 1e-12).sum(0)
    return {
        "value": value,
        "lo": np.maximum(value - half, LEAST[name]),
        "hi": np.minimum(value + half, 1.0),
        "control": chances.mean(0),
        "control_hi": np.quantile(chances, 0.95, axis=0),
        "p": (1 + as_far) / (1 + len(chances)),
        "seeds": seeds,
    }


def _half_width(of_units: np.ndarray, of_runs: np.ndarray, units: int, runs: np.ndarray) -> np.ndarray:
    """Return half a 95 % interval from two parts of a variance; NaN for one run.

    Student's t, its degrees of freedom between those of few runs and those of many units, by which part is
    larger (Satterthwaite 1946, "An Approximate Distribution of Estimates of Variance Components").
    """
    total = of_units + of_runs
    parts = of_runs**2 / np.maximum(runs - 1, 1) + of_units**2 / np.maximum(units - runs, 1)
    free = np.divide(total**2, parts, out=np.ones(total.shape), where=parts > 0)
    return np.where(runs > 1, stats.t.ppf(0.975, free) * np.sqrt(total), math.nan)


def _variance(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the variance along an axis of what is defined; 0 where nothing is."""
    return np.ma.masked_invalid(values).var(axis).filled(0.0)


def _mean(values: np.ndarray, weights: np.ndarray | float = 1.0) -> np.ndarray:
    """Average over the first axis, runs, what is defined; NaN where nothing is."""
    weights = np.isfinite(values) * weights
    total = weights.sum(0)
    sums = (np.nan_to_num(values) * weights).sum(0)
    return np.divide(sums, total, out=np.full(total.shape, math.nan), where=total > 0)
