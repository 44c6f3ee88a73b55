import math

import numpy as np
import pytest

from pipeline.claims import change_points

STEPS = np.array([0, 100, 125, 156, 195, 244, 305, 381, 477, 596, 745, 931, 1164, 1455, 1819])


def change_point(steps, values):
    return change_points.change_point(steps, values, 0.95, 6)


def ramp(start, end, before, after):
    """A curve made as the docstring says, straight in log(step + 100)."""
    place = np.log(STEPS + 100)
    share = (place - math.log(start + 100)) / (math.log(end + 100) - math.log(start + 100))
    return before + (after - before) * np.clip(share, 0, 1)


def test_a_sudden_step_changed_between_two_checkpoints():
    found = change_point(STEPS, np.where(STEPS >= 477, 0.9, 0.1))
    assert (found.lo, found.hi) == pytest.approx((381, 477))
    assert found.step == pytest.approx(math.sqrt(481 * 577) - 100)
    assert (found.before, found.after) == pytest.approx((0.1, 0.9))


@pytest.mark.parametrize(("before", "after"), [(0.0, 1.0), (4.0, -2.0)])
def test_a_ramp_changed_half_way_whether_it_rises_or_falls(before, after):
    found = change_point(STEPS, ramp(195, 596, before, after))
    assert found.step == pytest.approx(math.sqrt(295 * 696) - 100)
    assert (found.before, found.after) == pytest.approx((before, after))
    assert (found.lo, found.hi) == pytest.approx((305, 381))  # the checkpoints next to 353


def test_a_middle_at_a_checkpoint_has_both_its_neighbours_in_the_interval():
    found = change_point(STEPS, np.where(STEPS > 477, 1.0, np.where(STEPS == 477, 0.5, 0.0)))
    assert (found.lo, found.hi) == pytest.approx((381, 596))


def test_a_change_before_the_first_checkpoint_may_have_been_at_any_step_since_0():
    found = change_point(STEPS, np.where(STEPS > 0, 1.0, 0.0))
    assert (found.lo, found.hi) == pytest.approx((0, 100))
    assert 0 < found.step < 100


def test_nothing_changes_in_a_flat_curve():
    found = change_point(STEPS, np.full(len(STEPS), 0.3))
    assert found.before == pytest.approx(0.3)
    assert found.after == pytest.approx(0.3)


def test_undefined_points_are_left_out_and_too_few_are_no_curve():
    values = ramp(195, 477, 0, 1)
    values[[2, 9]] = math.nan
    assert change_point(STEPS, values).step == pytest.approx(math.sqrt(295 * 577) - 100)
    assert change_point(STEPS[:5], values[:5]) is None
    assert change_point(np.array([]), np.array([])) is None


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.2])
def test_the_interval_holds_the_true_change_as_often_as_it_says(noise):
    """Over 100 noisy copies of ramps and steps; at 95 %, 12 misses or more have a probability of 0.4 %."""
    random, held, widths = np.random.default_rng(1), 0, []
    for _ in range(100):
        start = random.uniform(150, 600)
        end = start * random.uniform(1, 3)
        found = change_point(STEPS, ramp(start, end, 0, 1) + noise * random.normal(size=len(STEPS)))
        held += found.lo <= math.sqrt((start + 100) * (end + 100)) - 100 <= found.hi
        widths.append(math.log(found.hi / found.lo))
    assert held > 100 - 12
    assert np.median(widths) < math.log(2.5)


def test_the_checkpoints_about_a_change_are_those_next_to_its_middle():
    found = change_point(STEPS, np.where(STEPS >= 477, 0.9, 0.1))
    assert (found.checkpoint_before, found.checkpoint_after) == pytest.approx((381, 477))
    noisy = change_point(STEPS, ramp(195, 596, 0, 1) + 0.2 * np.random.default_rng(1).normal(size=len(STEPS)))
    inside = [step for step in STEPS if noisy.checkpoint_before + 1e-6 < step < noisy.checkpoint_after - 1e-6]
    assert noisy.lo < noisy.checkpoint_before < noisy.step < noisy.checkpoint_after < noisy.hi
    assert inside == []


def test_a_change_reaches_to_the_checkpoints_about_it_and_no_further_than_the_first_step():
    found = change_points.reach(np.array([20.0, 8.0, 0.5]), np.array([10.0, 0.0, 0.0]), np.array([80.0, 16.0, 1.0]))
    np.testing.assert_allclose(found, np.log([[2, 8, 1], [4, 2, 2]]))


def test_what_the_grid_leaves_is_that_of_changes_anywhere_between_checkpoints():
    random = np.random.default_rng(0)
    cells = (100.0, 125.0), (381.0, 596.0)
    true = [np.log2(before) + np.log2(after / before) * random.uniform(size=40_000) for before, after in cells]
    assert change_points.grid_error(*cells) == pytest.approx((true[1] - true[0]).std(), rel=0.01)
    assert change_points.grid_error((0.0, 64.0)) == pytest.approx(6 / math.sqrt(12))


def test_less_confidence_gives_an_interval_within_the_other():
    values = ramp(195, 477, 0, 1) + 0.1 * np.random.default_rng(0).normal(size=len(STEPS))
    wide, narrow = (change_points.change_point(STEPS, values, confidence, 6) for confidence in (0.99, 0.5))
    assert wide.step == narrow.step
    assert wide.lo <= narrow.lo < narrow.step < narrow.hi <= wide.hi
    assert wide.hi - wide.lo > narrow.hi - narrow.lo


def test_as_many_points_as_asked_for_are_a_curve():
    values = ramp(100, 156, 0, 1)[:7]
    assert change_points.change_point(STEPS[:7], values, 0.95, 7) is not None
    assert change_points.change_point(STEPS[:7], values, 0.95, 8) is None
