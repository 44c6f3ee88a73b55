import math

import numpy as np

from pipeline.circuits.chance.false_discovery import false_discovery


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
