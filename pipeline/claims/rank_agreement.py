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
from scipy import special

CHANCE = {"spearman": 0.0, "auroc": 0.5}
LEAST = {"spearman": -1.0, "auroc": 0.0}
ROUNDING = 1e-9  # a product of sizes or counts no larger is 0
AS_FAR = 1e-12  # what is as far from chance but for rounding is as far


@dataclass(frozen=True)
class RankedUnits:
    """The units of one run, heads or pairs of heads, in one order: what they score, and what taking them away does."""

    scores: np.ndarray  # [score, unit]
    effects: np.ndarray  # [effect, unit], nats per token
    hits: np.ndarray  # [effect, unit], 1 where the effect's interval lies above 0

    def of(self, units: np.ndarray, scores: list[int]) -> "RankedUnits":
        """Return the same for some units and scores."""
        return RankedUnits(self.scores[scores][:, units], self.effects[:, units], self.hits[:, units])


def resampled(n: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Return how often each of n comes in each resample, [resample, n]; a single one always comes once.

    Of n, n - 1 are drawn, which makes the variance over resamples that of the mean, s^2 / n, where drawing n gives
    (n - 1) / n of it: a third too little for three seeds (McCarthy and Snowden 1985, "The bootstrap and finite
    population sampling").
    """
    if n == 1:
        return np.ones((resamples, 1), int)
    return generator.multinomial(n - 1, np.full(n, 1 / n), size=resamples)


def agreement(units: RankedUnits, counts: np.ndarray, order: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Compare each score with each effect over one run's units.

    Args:
        units: of the run.
        counts: [draw, unit], how often each unit counts.
        order: [draw, unit], whose score each unit gets; None for its own.

    Returns:
        spearman and auroc, [draw, score, effect]; NaN where a side does not vary, or no effect counts as one.
    """
    score_ranks, effect_ranks = ranks(units.scores, counts), ranks(units.effects, counts)
    if order is not None:
        score_ranks = np.take_along_axis(score_ranks, order[:, None], 2)
    return {
        "spearman": correlation(score_ranks, effect_ranks, counts),
        "auroc": area_under_curve(score_ranks, units.hits, counts),
    }


def ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return how many units lie below each, and half of those that equal it, itself among them.

    Args:
        values: [row, unit].
        counts: [draw, unit], how often each unit counts.

    Returns:
        [draw, row, unit].
    """
    each, other = values[:, :, None], values[:, None]
    below = (other < each) + 0.5 * (other == each)
    return np.einsum("rij,dj->dri", below, counts, optimize=True)


def correlation(score_ranks: np.ndarray, effect_ranks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Pearson's correlation over units, which of ranks is Spearman's.

    Args:
        score_ranks: [draw, score, unit].
        effect_ranks: [draw, effect, unit].
        counts: [draw, unit].

    Returns:
        [draw, score, effect].
    """
    weights = counts[:, None]
    totals = weights.sum(2, keepdims=True)
    scores, effects = (side - (side * weights).sum(2, keepdims=True) / totals for side in (score_ranks, effect_ranks))
    covariances = (scores * weights) @ effects.swapaxes(1, 2)
    score_sizes, effect_sizes = (np.sqrt((side**2 * weights).sum(2)) for side in (scores, effects))
    return _divided(covariances, score_sizes[:, :, None] * effect_sizes[:, None])


def area_under_curve(score_ranks: np.ndarray, hits: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """How often, of a unit with an effect and one without, the one with it has the higher score; ties count half.

    By Mann and Whitney: the ranks of those with an effect, less what they would add up to among themselves.

    Args:
        score_ranks: [draw, score, unit].
        hits: [effect, unit], 1 for a unit with an effect, 0 for one without.
        counts: [draw, unit].

    Returns:
        [draw, score, effect].
    """
    n_hits = (counts @ hits.T)[:, None]
    n_misses = counts.sum(1)[:, None, None] - n_hits
    rank_sums = (score_ranks * counts[:, None]) @ hits.T
    return _divided(rank_sums - n_hits**2 / 2, n_hits * n_misses)


def _divided(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return quotients, NaN where the divisor is 0."""
    by = np.broadcast_to(by, values.shape)
    return np.divide(values, by, out=np.full(values.shape, math.nan), where=by > ROUNDING)


def pooled(
    runs: list[RankedUnits], resamples: int, permutations: int, confidence: float, generator: np.random.Generator
) -> dict[str, dict[str, np.ndarray]]:
    """Compare scores with effects over the units of some runs.

    Args:
        runs: of the same scores and effects; those of fewer than two units do not count.
        resamples: of runs and units.
        permutations: of units within their runs.
        confidence: of the intervals.
        generator: of both.

    Returns:
        For spearman and auroc, [score, effect] each: value, lo and hi (Student's t; NaN for one run),
        control and control_hi (mean, and the quantile `confidence`, for units in random order), p (two-sided, by
        the same), n_seeds (runs where the statistic is defined). Empty without runs.
    """
    runs = [run for run in runs if run.scores.shape[1] > 1]
    if not runs:
        return {}
    measured, redrawn, shuffled = [], [], []
    for run in runs:
        n_units = run.scores.shape[1]
        once = np.ones((permutations, n_units))
        measured.append(agreement(run, once[:1]))
        redrawn.append(agreement(run, resampled(n_units, resamples, generator)))
        order = generator.permuted(np.tile(np.arange(n_units), (permutations, 1)), axis=1)
        shuffled.append(agreement(run, once, order))
    run_counts = resampled(len(runs), resamples, generator)
    n_units = sum(run.scores.shape[1] for run in runs)

    columns = {}
    for name, chance in CHANCE.items():
        values, of_units, at_random = (np.stack([run[name] for run in each]) for each in (measured, redrawn, shuffled))
        value, n_seeds = mean_over_runs(values[:, 0]), np.isfinite(values[:, 0]).sum(0)
        lo, hi = interval(value, *variances(of_units, run_counts, n_seeds), n_units, n_seeds, confidence)
        control = mean_over_runs(at_random)
        as_far = np.abs(control - chance) >= np.abs(value - chance) - AS_FAR
        columns[name] = {
            "value": value,
            "lo": np.maximum(lo, LEAST[name]),
            "hi": np.minimum(hi, 1.0),
            "control": control.mean(0),
            "control_hi": np.quantile(control, confidence, axis=0),
            "p": (1 + as_far.sum(0)) / (1 + permutations),
            "n_seeds": n_seeds,
        }
    return columns


def mean_over_runs(values: np.ndarray, counts: np.ndarray | float = 1.0) -> np.ndarray:
    """Average values [run, ...] over the runs where they are defined, each counted so often; NaN where none is."""
    weights = np.isfinite(values) * counts
    totals = weights.sum(0)
    sums = (np.nan_to_num(values) * weights).sum(0)
    return np.divide(sums, totals, out=np.full(totals.shape, math.nan), where=totals > 0)


def variances(of_units: np.ndarray, run_counts: np.ndarray, n_seeds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split the variance of a mean over runs: what other units would change, and what other runs would.

    Draws of units move each run's value, and with it the mean. Draws of runs find values that units have moved
    already, so that these are counted twice in what both together do; what is left is how the runs differ.

    Args:
        of_units: [run, resample, ...], each run's statistic over redrawn units.
        run_counts: [resample, run], how often each run counts in each resample.
        n_seeds: [...], runs where the statistic is defined.

    Returns:
        Of units and of runs, [...] each.
    """
    by_units = _variance(of_units, 1).sum(0) / np.maximum(n_seeds, 1) ** 2
    by_both = _variance(mean_over_runs(of_units, run_counts.T[:, :, None, None]), 0)
    return by_units, np.maximum(by_both - 2 * by_units, 0.0)


def interval(
    value: np.ndarray, by_units: np.ndarray, by_runs: np.ndarray, n_units: int, n_seeds: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends of an interval from the two parts of a variance; NaN for one run.

    Student's t, its degrees of freedom between those of few runs and those of many units, by which part is
    larger (Satterthwaite 1946, "An Approximate Distribution of Estimates of Variance Components").
    """
    variance = by_units + by_runs
    parts = by_runs**2 / np.maximum(n_seeds - 1, 1) + by_units**2 / np.maximum(n_units - n_seeds, 1)
    free = np.divide(variance**2, parts, out=np.ones(variance.shape), where=parts > 0)
    half = special.stdtrit(free, (1 + confidence) / 2) * np.sqrt(variance)
    lo, hi = value - half, value + half
    return np.where(n_seeds > 1, lo, math.nan), np.where(n_seeds > 1, hi, math.nan)


def _variance(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the variance along an axis of what is defined; 0 where nothing is."""
    return np.ma.masked_invalid(values).var(axis).filled(0.0)
