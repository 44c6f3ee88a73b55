"""How sure a number is that was measured on a few seeds and some sentences: a hierarchical bootstrap.

Runs and sentences are crossed: every run of an experiment is measured on the same sentences, and so is every
experiment on the same text. So a resample draws sentences once for all runs that saw them, and runs on top;
drawing sentences anew within each run would take what they have in common for noise that averages out.

Of n, n - 1 are drawn, which makes the variance over resamples that of the mean, s^2 / n, where drawing n gives
(n - 1) / n of it: a third too little for three seeds. For the same reason ends of intervals are Student t's
quantiles times the bootstrap's standard error, not quantiles of the resamples, whose extremes are the two most
distant of three seeds. Without sentences all of this is the t test.

Source: Owen 2007, "The pigeonhole bootstrap" (crossed factors are resampled independently); McCarthy and
Snowden 1985, "The bootstrap and finite population sampling" (n - 1 of n).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

ROUNDING = 1e-9  # relative to a difference: a smaller spread is none


@dataclass(frozen=True)
class Difference:
    """One experiment minus another; NaN where there are too few runs to tell."""

    value: float
    lo: float
    hi: float
    p: float  # two-sided, of a difference at least as large where there is none


def resampled(n: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Return how often each of n comes in each resample, [resample, n]; a single one always comes once."""
    if n == 1:
        return np.ones((resamples, 1), int)
    return generator.multinomial(n - 1, np.full(n, 1 / n), size=resamples)


def sentence_means(values: np.ndarray, weights: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return each run's weighted mean over sentences, in each resample of sentences.

    Args:
        values: [run, sentence]; what has no weight does not count.
        weights: [run, sentence].
        counts: [resample, sentence], how often each comes.

    Returns:
        [resample, run]; NaN where none came that counts.
    """
    sums, totals = counts @ np.where(weights > 0, values * weights, 0.0).T, counts @ weights.T
    return np.divide(sums, totals, out=np.full(sums.shape, math.nan), where=totals > 0)


def paired_difference(
    values: np.ndarray, draws: np.ndarray, confidence: float, generator: np.random.Generator
) -> Difference:
    """Compare runs that have a twin: same seed, so same first weights and batches.

    Student's t with runs - 1 degrees of freedom: conservative where sentences differ more than seeds. It rests on
    normal differences; the exact test that does not, flipping signs, cannot reach below p = 2 / 2^n: 0.25 for
    three seeds.

    Args:
        values: [run], a run's value minus its twin's.
        draws: [resample, run], the same in each resample of sentences.
        confidence: of the interval.
        generator: draws the runs.
    """
    if len(values) < 2:
        return Difference(_mean(values), math.nan, math.nan, math.nan)
    error = np.nanstd(_mean_of_runs(draws, generator))
    return _by_t(_mean(values), error, len(values) - 1, confidence)


def unpaired_difference(
    treated: tuple[np.ndarray, np.ndarray],
    untreated: tuple[np.ndarray, np.ndarray],
    confidence: float,
    generator: np.random.Generator,
) -> Difference:
    """Compare runs that have nothing in common, by Welch's degrees of freedom.

    With three runs each, the exact test, permuting labels, cannot reach below p = 2 / 20.

    Args:
        treated: values [run] and draws [resample, run], as in `paired_difference`, of one experiment's runs.
        untreated: those of the experiment they are compared with.
        confidence: of the interval.
        generator: draws the runs of each.
    """
    value = _mean(treated[0]) - _mean(untreated[0])
    if min(len(treated[0]), len(untreated[0])) < 2:
        return Difference(value, math.nan, math.nan, math.nan)
    error = np.nanstd(_mean_of_runs(treated[1], generator) - _mean_of_runs(untreated[1], generator))
    spreads = [(np.var(values, ddof=1) / len(values), len(values) - 1) for values, _ in (treated, untreated)]
    total = sum(spread for spread, _ in spreads)
    fewest = min(free for _, free in spreads)
    free = total**2 / sum(spread**2 / free for spread, free in spreads) if total else fewest
    return _by_t(value, error, free, confidence)


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _mean_of_runs(draws: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the mean [resample] over runs drawn in each resample, of draws [resample, run]."""
    counts = resampled(draws.shape[1], len(draws), generator)
    return (counts * draws).sum(1) / counts.sum(1)


def _by_t(value: float, error: float | np.floating, free: float | np.floating, confidence: float) -> Difference:
    """Return the interval and the p value; without any spread, no difference has p = 1, and any other none."""
    if error <= ROUNDING * abs(value):
        return Difference(value, value, value, 1.0 if value == 0 else math.nan)
    lo, hi = stats.t.interval(confidence, free, loc=value, scale=error)
    return Difference(value, float(lo), float(hi), float(2 * stats.t.sf(abs(value) / error, free)))
