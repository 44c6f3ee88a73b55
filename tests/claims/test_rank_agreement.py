import math

import numpy as np
import pytest
from scipy import stats

from pipeline.claims.rank_agreement import (
    RankedUnits,
    agreement,
    area_under_curve,
    correlation,
    interval,
    mean_over_runs,
    pooled,
    ranks,
    resampled,
    variances,
)

ONCE = np.ones((1, 6))
VALUES = np.array([[3.0, 1.0, 1.0, 4.0, 9.0, 1.0], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]])  # with ties, and without
HITS = np.array([[1.0, 0, 0, 1, 0, 1]])


def test_ranks_are_those_of_scipy_but_for_a_constant():
    np.testing.assert_allclose(ranks(VALUES, ONCE)[0], stats.rankdata(VALUES, axis=1) - 0.5)


def test_the_correlation_of_ranks_is_spearmans():
    ranked = ranks(VALUES, ONCE)
    expected = stats.spearmanr(*VALUES).statistic
    np.testing.assert_allclose(correlation(ranked, ranked, ONCE)[0], [[1, expected], [expected, 1]])


def test_the_area_is_how_often_a_hit_beats_a_miss():
    scores = VALUES[0]
    duels = [(a > b) + 0.5 * (a == b) for a in scores[HITS[0] == 1] for b in scores[HITS[0] == 0]]
    assert area_under_curve(ranks(VALUES[:1], ONCE), HITS, ONCE).item() == pytest.approx(np.mean(duels))
    # The same from Mann and Whitney's U.
    u = stats.mannwhitneyu(scores[HITS[0] == 1], scores[HITS[0] == 0]).statistic
    assert np.mean(duels) == pytest.approx(u / 9)


def test_what_does_not_vary_has_no_correlation_and_all_hits_no_area():
    flat, ranked = ranks(np.full((1, 6), 0.5), ONCE), ranks(VALUES[:1], ONCE)
    assert np.isnan(correlation(flat, ranked, ONCE)).all()
    assert np.isnan(area_under_curve(ranked, np.ones((1, 6)), ONCE)).all()
    assert np.isnan(area_under_curve(ranked, np.zeros((1, 6)), ONCE)).all()


def test_a_head_that_counts_twice_is_two_heads():
    generator = np.random.default_rng(0)
    one, other, hits = generator.normal(size=(1, 5)), generator.normal(size=(2, 5)), np.array([[1.0, 0, 0, 1, 0]] * 2)
    counts = np.array([2, 1, 0, 3, 1])
    twice = [np.repeat(values, counts, axis=1) for values in (one, other, hits)]
    drawn, repeated = (
        agreement(RankedUnits(one, other, hits), counts[None]),
        agreement(RankedUnits(*twice), np.ones((1, counts.sum()))),
    )
    for name, value in drawn.items():
        np.testing.assert_allclose(value, repeated[name])


def test_in_another_order_each_unit_has_the_score_of_another():
    units = RankedUnits(VALUES, VALUES[1:], HITS)
    order = np.array([[5, 4, 3, 2, 1, 0]])
    turned = RankedUnits(VALUES[:, ::-1], VALUES[1:], HITS)
    for name, values in agreement(units, ONCE, order).items():
        np.testing.assert_allclose(values, agreement(turned, ONCE)[name])


def test_some_units_and_scores_are_taken_together():
    part = RankedUnits(VALUES, VALUES[1:], HITS).of(np.array([True, False, False, True, True, False]), [1])
    assert part.scores.tolist() == [[0, 3, 4]]
    assert part.hits.tolist() == [[1, 1, 0]]


def test_a_mean_over_runs_is_of_what_is_defined_as_often_as_it_counts():
    values = np.array([[1.0, math.nan], [4.0, math.nan], [math.nan, 7.0]])
    np.testing.assert_allclose(mean_over_runs(values), [2.5, 7])
    np.testing.assert_allclose(mean_over_runs(values, np.array([[2], [1], [0]])), [2, math.nan])


@pytest.mark.parametrize(("unit_sd", "run_sd"), [(0.3, 0.0), (0.3, 0.5), (0.0, 0.5)])
def test_a_variance_is_split_into_what_it_was_made_of(unit_sd, run_sd):
    """Of runs drawn n - 1 of n at a time, the variance of the mean is s^2 / n."""
    random, n_runs, n_draws = np.random.default_rng(1), 40, 40_000
    runs = run_sd * random.normal(size=(n_runs, 1, 1, 1))
    of_units = runs + unit_sd * random.normal(size=(n_runs, n_draws, 1, 1))
    counts = random.multinomial(n_runs - 1, np.full(n_runs, 1 / n_runs), size=n_draws)
    by_units, by_runs = variances(of_units, counts, np.full((1, 1), n_runs))
    assert by_units.item() == pytest.approx(unit_sd**2 / n_runs, rel=0.05, abs=1e-12)
    assert by_runs.item() == pytest.approx(runs.var(ddof=1) / n_runs, rel=0.05, abs=0.05 * unit_sd**2 / n_runs)


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_an_interval_is_students_with_the_freedom_of_what_varies(confidence):
    value, none, some = np.array([0.2]), np.array([0.0]), np.array([0.04])
    for by_units, by_runs, free in ((none, some, 2), (some, none, 27), (some, some, 4 / (1 / 2 + 1 / 27))):
        lo, hi = interval(value, by_units, by_runs, 30, np.array([3]), confidence)
        reach = stats.t.ppf((1 + confidence) / 2, free) * math.sqrt(float(by_units[0] + by_runs[0]))
        assert (lo.item(), hi.item()) == pytest.approx((0.2 - reach, 0.2 + reach))


def test_of_one_run_there_is_no_interval_and_of_no_variance_no_length():
    ends = interval(np.array([0.2, 0.3]), np.array([0.1, 0.0]), np.zeros(2), 30, np.array([1, 3]), 0.95)
    np.testing.assert_allclose(ends, [[math.nan, 0.3], [math.nan, 0.3]])


def test_runs_are_averaged_and_those_of_one_unit_left_out():
    generator = np.random.default_rng(0)
    same, opposite = RankedUnits(VALUES[1:], VALUES[1:], HITS), RankedUnits(-VALUES[1:], VALUES[1:], HITS)
    alone = RankedUnits(VALUES[1:, :1], VALUES[1:, :1], HITS[:, :1])
    found = pooled([same, same, opposite, alone], 100, 199, 0.95, generator)["spearman"]
    assert found["value"].item() == pytest.approx(1 / 3)
    assert found["n_seeds"].item() == 3
    assert abs(found["control"].item()) < 0.1
    assert pooled([alone], 100, 199, 0.95, generator) == {}


def test_p_is_the_share_of_orders_as_far_from_chance():
    """One run of three units has six orders, of which two are as far from chance as its own."""
    units = RankedUnits(np.array([[1.0, 2, 3]]), np.array([[1.0, 2, 3]]), np.array([[0.0, 0, 1]]))
    found = pooled([units], 50, 6000, 0.95, np.random.default_rng(0))
    assert found["spearman"]["p"].item() == pytest.approx(2 / 6, abs=0.02)
    assert found["spearman"]["control_hi"].item() == pytest.approx(1)
    assert found["auroc"]["p"].item() == pytest.approx(4 / 6, abs=0.02)  # 0, 0.5 or 1: two thirds are 0 or 1


def test_resamples_draw_all_but_one_and_a_single_one_always():
    counts = resampled(5, 1000, np.random.default_rng(0))
    assert (counts.sum(1) == 4).all()
    np.testing.assert_allclose(counts.mean(0), 4 / 5, atol=0.1)
    assert (resampled(1, 7, np.random.default_rng(0)) == 1).all()
