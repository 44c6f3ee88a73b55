import math

import pytest
from scipy import stats

from pipeline.claims.verdicts import t_interval, verdict


def test_interval_of_two_values_has_the_known_quantile():
    # With one degree of freedom the 97.5 % point of t is tan(0.475 pi); sd / sqrt(2) of {0, 1} is 1/2.
    mean, lo, hi = t_interval([0.0, 1.0], 0.95)
    assert mean == 0.5
    assert hi - mean == pytest.approx(math.tan(0.475 * math.pi) / 2)
    assert mean - lo == pytest.approx(hi - mean)


def test_equal_values_leave_no_doubt():
    assert t_interval([0.7, 0.7, 0.7], 0.95) == pytest.approx((0.7, 0.7, 0.7))


def test_one_seed_has_no_interval_and_none_has_nothing():
    assert t_interval([0.7], 0.95)[0] == 0.7
    assert all(math.isnan(end) for end in t_interval([0.7], 0.95)[1:])
    assert all(math.isnan(value) for value in t_interval([], 0.95))


@pytest.mark.parametrize(
    ("lo", "hi", "chance", "expected"),
    [
        (0.5, 0.9, None, "reproduced"),
        (0.1, 0.49, None, "not reproduced"),
        (0.4, 0.6, None, "undecided"),
        (0.5, 0.9, 0.2, "reproduced"),
        (0.5, 0.9, 0.6, "undecided"),
        (0.5, 0.9, 0.9, "not reproduced"),
        (math.nan, math.nan, 0.0, "undecided"),
    ],
)
def test_verdict_follows_from_the_interval(lo, hi, chance, expected):
    assert verdict(lo, hi, threshold=0.5, chance=chance) == expected


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_interval_is_that_of_the_t_test(confidence):
    values = [0.3, 0.5, 0.1, 0.6]
    expected = stats.ttest_1samp(values, 0).confidence_interval(confidence)
    assert t_interval(values, confidence)[1:] == pytest.approx(tuple(expected))
