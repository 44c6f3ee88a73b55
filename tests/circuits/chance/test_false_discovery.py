import math

import numpy as np
import pytest

from pipeline.circuits.chance.false_discovery import false_discovery, share_by_chance


def test_by_hand():
    # Sorted, times 3 over rank: 0.03, 0.045, 0.04; then the least from there on.
    np.testing.assert_allclose(false_discovery(np.array([0.01, 0.04, 0.03])), [0.03, 0.04, 0.04])


def test_what_was_not_tested_does_not_count():
    p = np.array([[0.01, math.nan], [0.04, 0.03]])
    np.testing.assert_allclose(false_discovery(p), [[0.03, math.nan], [0.04, 0.04]])


def test_one_test_is_not_corrected_and_none_has_no_q():
    assert false_discovery(np.array([0.2])).tolist() == [0.2]
    assert np.isnan(false_discovery(np.array([math.nan, math.nan]))).all()
    assert false_discovery(np.array([])).shape == (0,)


def test_false_discoveries_are_as_rare_as_they_say():
    """A tenth of 200 effects is real: of what is called significant at 0.1, at most a tenth is chance on average."""
    random, shares = np.random.default_rng(0), []
    for _ in range(300):
        p = random.uniform(size=200)
        p[:20] /= 1e6
        called = false_discovery(p) <= 0.1
        shares.append(called[20:].sum() / max(called.sum(), 1))
    assert np.mean(shares) < 0.11
    assert np.mean(shares) > 0.05  # and no more cautious than it must be


def test_q_of_the_worked_example():
    # Benjamini and Hochberg 1995, section 4.2: at 5 %, the four smallest of fifteen are significant.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    q = false_discovery(np.array(p))
    assert (q < 0.05).tolist() == [True] * 4 + [False] * 11
    assert q[3] == pytest.approx(0.0095 * 15 / 4)
    assert q[-1] == 1


@pytest.mark.parametrize("level", [0.05, 0.4])
@pytest.mark.parametrize("tests", [1, 2, 5, 40])
def test_the_share_by_chance_is_that_of_random_p_values(tests, level):
    p = np.sort(np.random.default_rng(0).uniform(size=(40_000, tests)), axis=1)
    count = np.arange(1, tests + 1)
    shares = ((p < level * count / tests) * count).max(axis=1) / tests  # step up: the last that is small enough
    error = shares.std() / len(shares) ** 0.5
    assert share_by_chance(tests, level) == pytest.approx(shares.mean(), abs=4 * error)
    some = p[:50]
    assert [(false_discovery(row) < level).mean() for row in some] == pytest.approx(shares[:50])


def test_the_share_by_chance_in_closed_form():
    assert share_by_chance(1, 0.05) == 0.05
    # Both of two: (level^2); one alone: below level / 2, the other above level.
    assert share_by_chance(2, 0.3) == pytest.approx(0.3**2 + 2 * 0.15 * 0.7 / 2)
    assert share_by_chance(10_000, 0.2) * 10_000 == pytest.approx(0.2 / 0.8**2, rel=1e-3)
