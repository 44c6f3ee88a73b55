import math

import numpy as np
import pytest

from pipeline.circuits.chance.power import (
    area_interval,
    area_under_curve,
    crossed_calls,
    curve,
    enough,
    false_discovery_rate,
    share_interval,
    threshold_at,
)


def area(positive, negative):
    return float(area_under_curve(np.array(positive, float), np.array(negative, float)))


def test_areas_by_hand():
    assert area([3, 4], [1, 2]) == 1
    assert area([1, 2], [3, 4]) == 0
    assert area([1, 1, 1], [1, 1]) == 0.5  # constant
    assert area([2, 3], [1, 2]) == (1 + 0.5 + 1 + 1) / 4
    assert area([math.nan, 3], [1, 2]) == 0.5  # no score is below every score
    assert area([math.nan], [math.nan]) == 0.5
    assert math.isnan(area([1], []))


def test_areas_of_several_draws():
    positive, negative = np.array([[3.0], [1.0]]), np.array([[2.0], [1.0]])
    assert area_under_curve(positive, negative).tolist() == [1, 0.5]


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Normal scores d apart have an area of Phi(d / sqrt 2); heads of a model share half of their variance."""
    generator = np.random.default_rng(0)
    for truth, distance in ((0.76025, 1.0), (0.98305, 3.0)):
        held = 0
        for _ in range(400):
            shared = generator.normal(size=(2, 25, 1)) * 0.5**0.5
            scores = shared + generator.normal(size=(2, 25, 2)) * 0.5**0.5
            found = area_under_curve(scores[0].ravel() + distance, scores[1].ravel())
            low, high = area_interval(float(found), 25, 25, 0.9)
            held += low <= truth <= high
        assert 0.87 <= held / 400 <= 0.99


def test_a_perfect_area_is_not_certain():
    low, high = area_interval(1.0, 20, 20, 0.95)
    assert 0.8 < low < 0.95
    assert high == 1
    assert area_interval(0.0, 20, 20, 0.95) == pytest.approx((0, 1 - low), abs=1e-6)
    assert area_interval(1.0, 200, 200, 0.95)[0] > low
    assert all(map(math.isnan, area_interval(math.nan, 5, 5, 0.95)))


def test_intervals_of_shares_by_hand():
    """Wilson of 0 in n: from 0 to z^2 / (n + z^2)."""
    square = 1.959964**2
    assert share_interval(0.0, 10, 0.95) == pytest.approx((0, square / (10 + square)))
    assert share_interval(1.0, 10, 0.95) == pytest.approx((10 / (10 + square), 1))
    assert share_interval(0.5, 10, 0.95) == pytest.approx((0.2366, 0.7634), abs=1e-4)


def test_a_threshold_lets_no_more_through_than_it_may():
    scores = np.arange(1.0, 21.0)
    assert threshold_at(scores, 0.05) == 19  # one of twenty lies above
    assert threshold_at(scores, 0.04) == 20
    assert threshold_at(np.array([1.0, 1, 1, 2]), 0.25) == 1
    assert threshold_at(np.array([math.nan, 1.0]), 0.5) == -math.inf


def test_heads_are_called_by_what_the_other_half_says():
    """Half one: negatives 0 and 1; half two: 10 and 11. Thresholds are 11 for the first half, 1 for the second."""
    scores = np.array([0.0, 1, 5, 12, 10, 11, 5, math.nan])
    negative = np.array([True, True, False, False, True, True, False, False])
    half = np.arange(8) < 4
    assert crossed_calls(scores, negative, half, 0.0).tolist() == [0, 0, 0, 1, 1, 1, 1, 0]
    assert crossed_calls(np.stack([scores, scores]), negative, half, 0.0).sum(-1).tolist() == [4, 4]


def test_false_discoveries_by_hand():
    assert false_discovery_rate(1.0, 0.05, 0.1) == pytest.approx(0.045 / 0.145)
    assert false_discovery_rate(0.8, 0.0, 0.1) == 0
    assert false_discovery_rate(0.0, 0.5, 0.1) == 1
    assert math.isnan(false_discovery_rate(0.0, 0.0, 0.1))


def test_enough_is_what_stays_enough():
    assert enough([1, 2, 4], [True, False, True]) == 4
    assert enough([1, 2, 4], [True, True, True]) == 1
    assert enough([1, 2, 4], [True, True, False]) is None


def test_a_curve_is_the_power_at_each_share_of_false_positives():
    negative, positive = np.arange(1.0, 21.0), np.array([19.5, 20.5, 0.5, math.nan])
    assert curve(positive, negative, np.array([0.0, 0.05, 0.5, 1.0])).tolist() == [0.25, 0.5, 0.5, 1]
    assert curve(np.ones(3), np.ones(4), np.array([0.0, 0.9, 1.0])).tolist() == [0, 0, 1]  # ties are called by none
