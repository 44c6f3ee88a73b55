"""Laws are found in costs made by a law, and intervals are as sure as asked."""

import numpy as np
import pytest
from scipy import stats

from pipeline.benchmarks.scaling import power_law

AXES = ("V", "layers")
SIZES = np.array([[1, 2, 4, 8, 1, 1, 1, 3], [1, 1, 1, 1, 2, 4, 8, 3]]).T


def costs(noise=0.0, seed=0):
    errors = np.random.default_rng(seed).normal(size=8) * noise
    return 5 * SIZES[:, 0] ** 1.5 * SIZES[:, 1] ** 2.0 * np.exp(errors)


def test_a_law_is_found_in_what_it_made():
    law = power_law(AXES, SIZES, costs())
    assert law.exponent("V", 0.95) == pytest.approx((1.5, 1.5, 1.5))
    assert law.exponent("layers", 0.95) == pytest.approx((2, 2, 2))
    assert law.foretold({"V": 100, "layers": 10, "unknown": 3}, 0.95) == pytest.approx((5e5, 5e5, 5e5))


def test_of_one_size_it_is_the_usual_regression():
    x, y = SIZES[:4, :1], costs(noise=0.3)[:4]
    usual = stats.linregress(np.log(x[:, 0]), np.log(y))
    value, low, high = power_law(["V"], x, y).exponent("V", 0.9)
    assert value == pytest.approx(usual.slope)
    assert high - value == value - low == pytest.approx(usual.stderr * stats.t.ppf(0.95, 2))


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 1000 sets of costs; the standard deviation of a share of 0.9 is below 0.01."""
    ahead, exponents, foretold = np.random.default_rng(1), 0, 0
    for seed in range(1000):
        law = power_law(AXES, SIZES, costs(0.2, seed))
        _, low, high = law.exponent("layers", 0.9)
        exponents += low <= 2 <= high
        _, low, high = law.foretold({"V": 20, "layers": 20}, 0.9)
        foretold += low <= 5 * 20**3.5 * np.exp(0.2 * ahead.normal()) <= high
    assert exponents / 1000 == pytest.approx(0.9, abs=0.03)
    assert foretold / 1000 == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize("sizes", [[[1], [2]], [[2], [2], [2]], [[1, 2], [2, 4], [4, 8], [8, 16]]])
def test_sizes_that_do_not_vary_apart_are_refused(sizes):
    with pytest.raises(ValueError, match="do not tell how they grow with V"):
        power_law(AXES[: len(sizes[0])], np.array(sizes), np.ones(len(sizes)))
