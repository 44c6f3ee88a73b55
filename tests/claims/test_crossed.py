import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.claims.crossed import LEAST_P, Number, crossed, crossed_difference, mean_of, share_of, weighted_mean


def rows(values, weights=None, eval_set="text"):
    weights = np.ones(len(values)) if weights is None else weights
    return pd.DataFrame({"eval_set": eval_set, "sentence": range(len(values)), "value": values, "weight": weights})


def numbers(values):
    return [Number(value) for value in values]


def test_a_mean_over_sentences_is_weighted_and_counts_what_has_weight():
    assert weighted_mean(rows([1.0, 3.0, math.nan], [1.0, 3.0, 0.0])).value == 2.5
    assert math.isnan(weighted_mean(rows([1.0], [0.0])).value)


def test_influences_sum_to_nothing_and_their_squares_to_the_means_variance():
    values = np.array([0.3, 0.9, 0.4, 0.7, 0.1])
    mean = weighted_mean(rows(values))
    assert mean.influence.sum() == pytest.approx(0)
    assert (mean.influence**2).sum() == pytest.approx(values.var(ddof=1) / 5)


def test_an_influence_is_what_the_mean_moves_by():
    values, weights = np.array([0.3, 0.9, 0.4]), np.array([1.0, 2.0, 5.0])
    mean, heavier = (weighted_mean(rows(values, weights + np.array([more, 0, 0]))) for more in (0, 1e-6))
    expected = mean.influence.iloc[0] * math.sqrt(2 / 3)
    assert (heavier.value - mean.value) / 1e-6 == pytest.approx(expected, rel=1e-5)


def test_sums_and_differences_are_taken_sentence_by_sentence():
    one, other = weighted_mean(rows([1.0, 3.0])), weighted_mean(rows([0.5, 2.5]))
    apart = one - other
    assert apart.value == 0.5
    assert apart.influence.abs().max() == pytest.approx(0)  # the same in every sentence
    elsewhere = weighted_mean(rows([0.5, 2.5], eval_set="repeated_text"))
    assert ((one - elsewhere).influence ** 2).sum() == pytest.approx(2 * (one.influence**2).sum())
    assert (one * -2.0).influence.equals(one.influence * -2.0)
    assert mean_of([one, other]).value == 1.75
    twice = one * 2.0
    assert (twice / one).value == 2
    assert (twice / one).influence.abs().max() == pytest.approx(0)
    moved = [rows([1.0, 3.0], [1 + more, 1.0]) for more in (0.0, 1e-6)]
    squares = [weighted_mean(sample.assign(value=sample["value"] ** 2)) for sample in moved]
    ratio, heavier = (square / weighted_mean(sample) for square, sample in zip(squares, moved, strict=True))
    assert (heavier.value - ratio.value) / 1e-6 == pytest.approx(ratio.influence.iloc[0] / math.sqrt(2), rel=1e-5)
    assert (Number(1.0, own=3.0) + Number(1.0, own=4.0)).own == 5
    assert mean_of([Number(1.0, own=3.0), Number(1.0, own=4.0)]).own == 2.5
    assert Number(1.0, error=3.0).error == (Number(1.0, error=3.0) * -1.0).error
    apart = Number(1.0, error=3.0, grid=5.0) - Number(1.0, error=4.0, grid=12.0)
    assert (apart.error, apart.grid) == (5, 13)


def test_equal_shares_do_not_say_that_every_run_has_this_share():
    assert share_of(3, 4).value == 0.75
    lo, hi = crossed([share_of(8, 8)] * 3).interval(0.95)
    # As of nine heads of ten, eight of which were drawn in each of three runs.
    assert hi - lo == pytest.approx(2 * stats.norm.isf(0.025) * math.sqrt(0.9 * 0.1 / 24))
    # Where runs differ by more than that, nothing is added.
    found = crossed([share_of(0, 8), share_of(8, 8)])
    assert found.half_width(0.95) == pytest.approx(crossed(numbers([0.0, 1.0])).half_width(0.95))


def test_a_difference_of_equal_shares_has_the_error_of_both():
    one, other = [share_of(8, 8)] * 3, [share_of(0, 8)] * 2
    expected = stats.norm.isf(0.025) * math.sqrt(0.9 * 0.1 / 24 + 0.9 * 0.1 / 16)
    assert crossed_difference(one, other).half_width(0.95) == pytest.approx(expected)


RUNS_AND_HEADS = [(2, 8), (3, 8), (3, 16), (5, 8), (8, 2), (8, 8), (8, 16)]


@pytest.mark.parametrize(("runs", "heads"), RUNS_AND_HEADS)
@pytest.mark.parametrize("truth", [0.5, 0.7, 0.9, 0.95, 0.99])
def test_the_interval_of_a_share_covers_it_near_the_ends_too(runs, heads, truth):
    assert coverage_of_shares(runs, heads, truth, studies=400) > 0.93


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "heads"), RUNS_AND_HEADS)
def test_the_interval_of_a_share_covers_hardly_more_than_it_says(runs, heads):
    """Of counts no interval covers the same everywhere: the mean over shares (Brown, Cai and DasGupta 2001)."""
    covered = [coverage_of_shares(runs, heads, truth, studies=1000) for truth in np.linspace(0.05, 0.95, 19)]
    print(f"{runs} runs of {heads} heads: {np.mean(covered):.3f} on average, {min(covered):.3f} to {max(covered):.3f}")
    assert 0.93 <= np.mean(covered) <= (0.992 if runs < 5 else 0.985)


def coverage_of_shares(runs, heads, truth, studies):
    counts = np.random.default_rng(0).binomial(heads, truth, (studies, runs))
    ends = [crossed([share_of(count, heads) for count in study]).interval(0.95) for study in counts.tolist()]
    return np.mean([lo <= truth + 1e-12 and truth - 1e-12 <= hi for lo, hi in ends])


def test_what_a_grid_rounds_is_covered():
    assert coverage_on_a_grid(runs=8, spread=0.0, studies=400) > 0.93  # all runs between the same two checkpoints
    assert 0.93 <= coverage_on_a_grid(runs=8, spread=1.0, studies=400) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("runs", [3, 5, 8])
@pytest.mark.parametrize("spread", [0.7, 1.0, 1.5, 3.0, 10.0])
def test_what_a_grid_rounds_is_covered_within_three_hundredths(runs, spread):
    share = coverage_on_a_grid(runs, spread, studies=4000)
    print(f"{runs} runs that spread over {spread:g} cells of a grid: {share:.3f} of intervals hold the truth")
    assert 0.93 <= share <= 0.98


def coverage_on_a_grid(runs, spread, studies):
    """Of the mean of what is known to a cell of width 1, and of runs that differ by so many of them."""
    random, covered = np.random.default_rng(3), 0
    for truth in random.uniform(-0.5, 0.5, studies):
        rounded = np.round(truth + spread * random.normal(size=runs))
        lo, hi = crossed([Number(value, grid=1 / math.sqrt(12)) for value in rounded]).interval(0.95)
        covered += lo <= truth <= hi
    return covered / studies


def test_without_sentences_it_is_the_t_test():
    values = [0.3, 0.5, 0.1, 0.6]
    expected = stats.ttest_1samp(values, 0)
    assert crossed(numbers(values)).interval(0.95) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert crossed(numbers(values)).p_value() == pytest.approx(expected.pvalue)
    expected = stats.ttest_1samp(values, 0.2)
    assert crossed(numbers(values)).p_value(0.2) == pytest.approx(expected.pvalue)


def test_without_spread_between_seeds_it_is_the_t_test_over_sentences():
    values = np.random.default_rng(3).normal(size=8)
    found = crossed([weighted_mean(rows(values))] * 3)
    assert found.interval(0.9) == pytest.approx(tuple(stats.ttest_1samp(values, 0).confidence_interval(0.9)))
    assert found.of_sentences == pytest.approx(values.var(ddof=1) / 8)


def test_without_sentences_a_difference_is_welchs_test():
    one, other = [1.0, 1.4, 0.9], [0.2, 0.9, 0.1, 0.6]
    found, expected = crossed_difference(numbers(one), numbers(other)), stats.ttest_ind(one, other, equal_var=False)
    assert found.p_value() == pytest.approx(expected.pvalue)
    assert found.interval(0.95) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_an_error_that_all_runs_share_is_not_averaged_away():
    found = crossed([Number(0.5, error=0.1)] * 100)
    assert found.half_width(0.95) == pytest.approx(0.1 * stats.norm.ppf(0.975))


def test_two_runs_that_no_grid_tells_apart_do_not_say_how_far_runs_differ():
    same, other = Number(2.0, grid=0.5), Number(2.5, grid=0.5)
    assert all(map(math.isnan, crossed([same, same]).interval(0.95)))
    assert crossed([same, other]).half_width(0.95) > 12.7 * 0.25
    assert crossed([same] * 3).half_width(0.95) == pytest.approx(0.5 * stats.norm.isf(0.025))


def test_what_cannot_be_told_is_nan():
    single = crossed(numbers([0.4]))
    assert single.value == 0.4
    assert all(map(math.isnan, (*single.interval(0.95), single.p_value())))
    assert math.isnan(crossed([]).value)
    single = crossed_difference(numbers([0.4]), numbers([0.1, 0.2]))
    assert single.value == pytest.approx(0.25)
    assert math.isnan(single.half_width(0.95))


def test_runs_that_agree_to_the_last_bit():
    assert crossed(numbers([0.0, 0.0, 0.0])).p_value() == 1
    assert crossed(numbers([0.5, 0.5, 0.5 + 1e-15])).interval(0.95) == (pytest.approx(0.5), pytest.approx(0.5))
    assert math.isnan(crossed(numbers([0.5, 0.5, 0.5])).p_value())
    assert crossed([Number(1e6, error=1e-2)] * 3).p_value() == LEAST_P


def test_the_least_that_would_be_shown_is_shown_as_often_as_said():
    """Seeds of spread 1 whose truth lies just so far beyond the threshold, 0."""
    random, shown, studies = np.random.default_rng(5), 0, 1000
    truth = np.mean([crossed(numbers(random.normal(size=8))).least_shown(0.95, 0.8) for _ in range(200)])
    for values in random.normal(truth, 1, (studies, 8)):
        shown += crossed(numbers(values)).interval(0.95)[0] >= 0
    assert shown / studies == pytest.approx(0.8, abs=0.06)


def studied(random, runs, sentences, spreads):
    """One study whose truth is 0: seeds, sentences and pairs of both shift it, by these standard deviations."""
    of_seed, of_sentence, of_both = spreads
    shift = of_seed * random.normal(size=(runs, 1)) + of_sentence * random.normal(size=(1, sentences))
    shift = shift + of_both * random.normal(size=(runs, sentences))
    means = shift.mean(1)
    moved = (shift - means[:, None]) / sentences * math.sqrt(sentences / (sentences - 1))
    return [Number(mean, pd.Series(influence)) for mean, influence in zip(means, moved, strict=True)]


RATIOS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, math.inf)  # seeds' variance of the mean over sentences'


@pytest.mark.parametrize("ratio", [0.0, 1.0, math.inf])
def test_the_interval_covers_the_truth_whichever_spreads_more(ratio):
    """200 studies have a standard error of 0.015 around 0.95 to 0.98; the slow test has 4,000."""
    assert 0.91 <= coverage(3, 20, ratio, 200) <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("runs", [2, 3, 5, 8])
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_interval_covers_the_truth_within_three_hundredths(runs, ratio):
    share = coverage(runs, 32, ratio, 4000)
    print(f"{runs} runs, seeds' variance {ratio:g} times sentences': {share:.3f} of intervals hold the truth")
    assert 0.93 <= share <= (0.985 if runs > 2 else 0.995)


def coverage(runs, sentences, ratio, studies):
    of_sentence = 0.0 if math.isinf(ratio) else 1.0
    of_seed = 1.0 if math.isinf(ratio) else math.sqrt(ratio * runs / sentences)
    random, covered = np.random.default_rng(7), 0
    for _ in range(studies):
        lo, hi = crossed(studied(random, runs, sentences, (of_seed, of_sentence, 0.5 * of_sentence))).interval(0.95)
        covered += lo <= 0 <= hi
    return covered / studies


def test_differences_cover_the_truth_too():
    random, covered, studies = np.random.default_rng(4), 0, 200
    for _ in range(studies):
        together = studied(random, 6, 20, (0.3, 1.0, 0.3))
        lo, hi = crossed_difference(together[:3], together[3:]).interval(0.95)
        covered += lo <= 0 <= hi
    assert 0.91 <= covered / studies <= 1.0
