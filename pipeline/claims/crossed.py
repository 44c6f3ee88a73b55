"""How sure a number is that was measured on a few seeds and some sentences, both of which could have been others.

Seeds and sentences are crossed: every run of an experiment is measured on the same sentences. So what a draw of
sentences has in common for all runs does not average out over seeds, and no spread between seeds shows it. The error of
a mean over I runs and J sentences has three parts: seeds', sentences', and that of each pair of them. The spread of the
runs' values holds the first and the third, the spread of the sentences' influences on the mean the second and the
third; the third is in both and is taken away once.

Ends lie sqrt(t_seeds^2 * V_seeds + t_sentences^2 * V_sentences) away: each part has its own degrees of freedom. Where
one part is all there is, this is Student's t test. Between, it covers a little more than it says (of three seeds up to
0.98 at a nominal 0.95, of two up to 0.99), where Satterthwaite's degrees of freedom cover less (down to 0.91), and so
does taking the third part out of the first (0.89 of two seeds).

Sources: Owen 2007, "The pigeonhole bootstrap" (crossed errors); Efron 1982, "The Jackknife, the Bootstrap and Other
Resampling Plans", section 6 (influences: the infinitesimal jackknife); Graybill and Wang 1980, "Confidence Intervals on
Nonnegative Linear Combinations of Variances" (squared quantiles, part by part).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

ROUNDING = 1e-9  # relative to a number: a smaller spread is none
LEAST_P = 1e-100
BY_SENTENCE = ["probe", "eval_set", "period", "sentence"]  # probe: what drew them


def _nothing() -> pd.Series:
    return pd.Series(dtype=float)


@dataclass(frozen=True)
class Number:
    """What one run says: a value, what each sentence has to do with it, and what remains however many there are."""

    value: float
    influence: pd.Series = field(default_factory=_nothing)  # by sentence: what it adds to the value; sums to 0
    error: float = 0.0  # standard deviation of an error that all runs share and their spread does not show
    grid: float = 0.0  # the same of rounding to what all runs share: of runs that differ, their spread shows it
    own: float = 0.0  # the same of what each run has for itself, whatever runs show, such as of drawing few heads

    def __add__(self, other: "Number") -> "Number":
        """Add, sentence by sentence."""
        influence = self.influence.add(other.influence, fill_value=0.0)
        return Number(self.value + other.value, influence, *_errors([self, other], [1.0, 1.0]))

    def __mul__(self, factor: float) -> "Number":
        """Scale."""
        return Number(self.value * factor, self.influence * factor, *_errors([self], [factor]))

    def __truediv__(self, other: "Number") -> "Number":
        """Divide, to first order in what each sentence adds."""
        ratio = self.value / other.value
        moved = (self + other * -ratio).influence / other.value
        return Number(ratio, moved, *_errors([self, other], [1 / other.value, ratio / other.value]))

    def __sub__(self, other: "Number") -> "Number":
        """Subtract, sentence by sentence."""
        return self + other * -1.0


def _errors(numbers: Sequence[Number], factors: Sequence[float]) -> list[float]:
    """Return the errors of a weighted sum of numbers whose own do not hang together."""
    kinds = [(number.error, number.grid, number.own) for number in numbers]
    return [math.hypot(*np.multiply(kind, factors)) for kind in zip(*kinds, strict=True)]


def weighted_mean(rows: pd.DataFrame) -> Number:
    """Return the mean over sentences by weight, and each one's influence on it.

    A sentence's influence is its share of all weight times its distance from the mean: what the mean moves by if it
    comes once more; by sqrt(n / (n - 1)) larger, so that the squares' sum is the mean's variance without bias.

    Args:
        rows: a row a sentence: `value`, `weight`, and of BY_SENTENCE what tells sentences apart. What has no weight
            does not count. Several rows of a sentence count together.

    Returns:
        NaN without any weight.
    """
    rows = rows[rows["weight"] > 0]
    total = rows["weight"].sum()
    if not total:
        return Number(math.nan)
    mean = float((rows["value"] * rows["weight"]).sum() / total)
    moved = (rows["value"] - mean) * rows["weight"] / total
    sentences = pd.MultiIndex.from_arrays([_known(rows[name]) for name in BY_SENTENCE if name in rows])
    influence = _by_sentence(pd.Series(moved.to_numpy(), sentences))
    if len(influence) > 1:
        influence *= math.sqrt(len(influence) / (len(influence) - 1))
    return Number(mean, influence)


def _by_sentence(influences: pd.Series) -> pd.Series:
    """Return the influence of each sentence, whose several count together."""
    index = influences.index
    return influences if index.is_unique else influences.groupby(level=list(range(index.nlevels))).sum()


def _known(names: pd.Series) -> pd.Series:
    """Return a column of names with -1 for none: what is not known equals nothing, itself included."""
    return names.astype(float).fillna(-1.0) if names.name in ("period", "sentence") else names


def share_of(count: int, of: int) -> Number:
    """Return the share of a run's heads that so many are.

    It comes in steps of 1/n: runs that all have the same share do not say that the next one's is the same too. No
    interval is narrower than that of heads drawn one by one, of which so many and one of two more are (Laplace).
    """
    likely = (count + 1) / (of + 2)
    return Number(count / of, own=math.sqrt(likely * (1 - likely) / of))


def mean_of(numbers: Sequence[Number]) -> Number:
    """Return the mean of one run's numbers; NaN of none."""
    if not numbers:
        return Number(math.nan)
    value = float(np.mean([number.value for number in numbers]))
    moved = [number.influence for number in numbers if len(number.influence)]
    influence = _by_sentence(pd.concat(moved)) / len(numbers) if moved else _nothing()
    return Number(value, influence, *_errors(numbers, [1 / len(numbers)] * len(numbers)))


@dataclass(frozen=True)
class Part:
    """One source of error of a mean."""

    variance: float
    free: float  # degrees of freedom that its estimate rests on


@dataclass(frozen=True)
class Crossed:
    """A mean over runs and the parts of its error; NaN ends where there are too few runs to tell."""

    value: float
    parts: tuple[Part, ...]  # empty for fewer than two runs
    of_sentences: float  # variance that the sentences alone leave, were these the only seeds there are
    least: float = 0.0  # variance that the whole has whatever the runs show: by a grid, by few heads

    def half_width(self, confidence: float) -> float:
        """Return how far the ends of the interval lie from the value; NaN if it is unknown."""
        return self._away((1 + confidence) / 2)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the ends of the interval."""
        half = self.half_width(confidence)
        return self.value - half, self.value + half

    def p_value(self, against: float = 0.0) -> float:
        """Return the probability of a value at least as far from `against`, either way, were that the truth.

        NaN if it is unknown, or if the value differs without any spread.
        """
        away = abs(self.value - against)
        widest = self._away(1 - LEAST_P / 2, LEAST_P / 2)
        if math.isnan(widest):
            return math.nan
        if widest == 0:
            return 1.0 if away == 0 else math.nan
        if away >= widest:
            return LEAST_P
        from scipy import optimize  # takes as long as all else that stages without p values import

        root = optimize.root_scalar(
            lambda log_p: self._away(0, math.exp(log_p) / 2) - away, bracket=(math.log(LEAST_P), 0.0)
        )
        return math.exp(root.root)

    def least_shown(self, confidence: float, power: float) -> float:
        """Return how far beyond a threshold the truth must lie for the whole interval to lie there, so often.

        Args:
            confidence: of the interval.
            power: share of studies like this one in which it then would.
        """
        return self.half_width(confidence) + self._away(power)

    def _away(self, quantile: float, tail: float | None = None) -> float:
        """Return the distance of a quantile; `tail` is what lies beyond it, exact where it is small."""
        if not self.parts:
            return math.nan
        tail = 1 - quantile if tail is None else tail
        square = sum(special.stdtrit(part.free, tail) ** 2 * part.variance for part in self.parts if part.variance)
        half = math.sqrt(max(square, special.ndtri(tail) ** 2 * self.least))
        return half if half > ROUNDING * abs(self.value) else 0.0


def crossed(numbers: Sequence[Number]) -> Crossed:
    """Return the mean over runs with all its error, seeds' and sentences'.

    Args:
        numbers: one a run. Sentences of equal index are the same for all of them. Two that are equal on a grid may
            lie as far apart as that: they leave the spread of runs unknown.
    """
    value = float(np.mean([number.value for number in numbers])) if numbers else math.nan
    seeds, sentences, both, count = _spreads(numbers)
    if len(numbers) < 2 or (len(numbers) == 2 and numbers[0].grid and seeds <= (ROUNDING * value) ** 2):
        return Crossed(value, (), sentences)
    parts = _parts(Part(seeds, len(numbers) - 1), sentences - both, count, _mean_square(numbers, "error"))
    return Crossed(value, parts, sentences, _least(numbers))


def crossed_difference(treated: Sequence[Number], untreated: Sequence[Number]) -> Crossed:
    """Return the mean of some runs minus that of others, which no seed ties together: Welch's degrees of freedom.

    Args:
        treated: one a run.
        untreated: one a run. Sentences of equal index are the same on both sides.
    """
    value = float(np.mean([number.value for number in treated]) - np.mean([number.value for number in untreated]))
    sides = [_spreads(side) for side in (treated, untreated)]
    apart = mean_of([*treated]) - mean_of([*untreated])
    sentences, count = float((apart.influence**2).sum()), max(side[3] for side in sides)
    if min(len(treated), len(untreated)) < 2:
        return Crossed(value, (), sentences)
    seeds = sum(side[0] for side in sides)
    runs = [(side[0], len(numbers) - 1) for side, numbers in zip(sides, (treated, untreated), strict=True)]
    free = seeds**2 / sum(part**2 / free for part, free in runs) if seeds else min(free for _, free in runs)
    error = max(_mean_square(side, "error") for side in (treated, untreated))
    both = sum(side[2] for side in sides)
    least = sum(map(_least, (treated, untreated)))
    return Crossed(value, _parts(Part(seeds, free), sentences - both, count, error), sentences, least)


def _least(numbers: Sequence[Number]) -> float:
    """Return the variance that the mean over runs has whatever they show."""
    return _mean_square(numbers, "own") / len(numbers) + _mean_square(numbers, "grid")


def _mean_square(numbers: Sequence[Number], error: str) -> float:
    return float(np.mean([getattr(number, error) ** 2 for number in numbers]))


def _parts(seeds: Part, sentences: float, count: int, error: float) -> tuple[Part, ...]:
    return seeds, Part(max(sentences, 0.0), max(count - 1, 1)), Part(error, math.inf)


def _spreads(numbers: Sequence[Number]) -> tuple[float, float, float, int]:
    """Return the variance of the mean that seeds, sentences and pairs of both show, and the number of sentences."""
    runs = len(numbers)
    moved = [number.influence for number in numbers if len(number.influence)]
    seeds = float(np.var([number.value for number in numbers], ddof=1) / runs) if runs > 1 else math.nan
    if not moved:
        return seeds, 0.0, 0.0, 0
    influence = pd.concat(moved, axis=1).fillna(0.0).to_numpy(float)
    mean = influence.sum(1) / runs
    both = ((influence - mean[:, None]) ** 2).sum() / (runs * (runs - 1)) if runs > 1 else 0.0
    return seeds, float((mean**2).sum()), float(both), len(influence)
