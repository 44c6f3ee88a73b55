import math

import numpy as np
import pytest
from scipy import stats

from pipeline.claims.bootstrap import paired_difference, resampled, sentence_means, unpaired_difference

RESAMPLES = 20_000


def generator():
    return np.random.default_rng(0)


def alone(values):
    """Runs without sentences: every resample of them is themselves."""
    return np.asarray(values), np.tile(values, (RESAMPLES, 1))


def test_resamples_draw_all_but_one_and_a_single_one_always():
    counts = resampled(5, 1000, generator())
    assert (counts.sum(1) == 4).all()
    np.testing.assert_allclose(counts.mean(0), 4 / 5, atol=0.1)
    assert (resampled(1, 7, generator()) == 1).all()


def test_a_mean_over_sentences_is_weighted_and_counts_what_came():
    values, weights = np.array([[1.0, 3.0, math.nan]]), np.array([[1.0, 3.0, 0.0]])
    counts = np.array([[1, 1, 1], [2, 0, 5], [0, 2, 0], [0, 0, 9]])
    np.testing.assert_allclose(sentence_means(values, weights, counts), [[2.5], [1.0], [3.0], [math.nan]])


def test_without_sentences_it_is_the_paired_t_test():
    values = np.array([0.3, 0.5, 0.1, 0.6])
    found = paired_difference(*alone(values), 0.95, generator())
    expected = stats.ttest_1samp(values, 0)
    assert found.value == pytest.approx(values.mean())
    assert found.p == pytest.approx(expected.pvalue, rel=0.1)
    assert (found.lo, found.hi) == pytest.approx(tuple(expected.confidence_interval(0.95)), abs=0.02)


def test_without_sentences_it_is_welchs_test():
    one, other = np.array([1.0, 1.4, 0.9]), np.array([0.2, 0.9, 0.1, 0.6])
    found = unpaired_difference(alone(one), alone(other), 0.95, generator())
    expected = stats.ttest_ind(one, other, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue, rel=0.1)
    assert (found.lo, found.hi) == pytest.approx(tuple(expected.confidence_interval(0.95)), abs=0.03)


def test_runs_that_do_not_differ_have_no_effect():
    found = paired_difference(*alone([0.0, 0.0, 0.0]), 0.95, generator())
    assert (found.value, found.lo, found.hi, found.p) == (0, 0, 0, 1)


def test_what_cannot_be_told_is_nan():
    single = paired_difference(*alone([0.4]), 0.95, generator())
    assert single.value == 0.4
    assert all(map(math.isnan, (single.lo, single.hi, single.p)))
    single = unpaired_difference(alone([0.4]), alone([0.1, 0.2]), 0.95, generator())
    assert single.value == pytest.approx(0.25)
    assert all(map(math.isnan, (single.lo, single.hi, single.p)))
    # A difference that all runs share to the last bit says nothing about other runs.
    assert math.isnan(paired_difference(*alone([0.5, 0.5]), 0.95, generator()).p)


def simulated(random, seeds, sentences, seed_sd, sentence_sd):
    """One study whose true difference is 0: seeds and sentences each shift it, and so does each pair of them."""
    shift = seed_sd * random.normal(size=(seeds, 1)) + sentence_sd * random.normal(size=(1, sentences))
    return shift + 0.1 * random.normal(size=(seeds, sentences))


@pytest.mark.parametrize(
    ("seed_sd", "sentence_sd", "least", "most"),
    [
        (1.0, 1.0, 0.92, 0.98),  # seeds decide: nominal; 600 studies have a standard error of 0.009
        (0.0, 2.0, 0.95, 1.0),  # sentences decide: conservative, as two degrees of freedom are too few for them
    ],
)
def test_the_interval_covers_the_truth_as_often_as_it_says(seed_sd, sentence_sd, least, most):
    random, studies, covered = np.random.default_rng(2), 600, 0
    for _ in range(studies):
        values = simulated(random, 3, 30, seed_sd, sentence_sd)
        weights = np.ones_like(values)
        counts = resampled(30, 300, random)
        once = sentence_means(values, weights, np.ones((1, 30)))[0]
        found = paired_difference(once, sentence_means(values, weights, counts), 0.95, random)
        covered += found.lo <= 0 <= found.hi
    assert least <= covered / studies <= most


def test_unpaired_intervals_cover_the_truth_too():
    random, studies, covered = np.random.default_rng(4), 600, 0
    for _ in range(studies):
        sides = []
        for spread in (0.5, 1.0):
            values = simulated(random, 3, 30, spread, 0.3)
            draws = sentence_means(values, np.ones_like(values), resampled(30, 300, random))
            sides.append((values.mean(1), draws))
        found = unpaired_difference(*sides, 0.95, random)
        covered += found.lo <= 0 <= found.hi
    assert 0.92 <= covered / studies <= 0.99


def test_sentences_that_all_runs_share_count_although_runs_agree():
    """Seeds that agree on the same few sentences are no proof for other sentences."""
    random = np.random.default_rng(3)
    values = np.tile(random.normal(size=(1, 8)), (3, 1))
    draws = sentence_means(values, np.ones_like(values), resampled(8, 4000, random))
    found = paired_difference(values.mean(1), draws, 0.95, random)
    expected = stats.t.ppf(0.975, 2) * values[0].std(ddof=1) / math.sqrt(8)
    assert (found.hi - found.lo) / 2 == pytest.approx(expected, rel=0.1)
