import numpy as np
import pytest

from pipeline.circuits.chance.false_discovery import false_discovery


def test_q_of_the_worked_example():
    # Benjamini and Hochberg 1995, section 4.2: at 5 %, the four smallest of fifteen are significant.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    q = false_discovery(np.array(p))
    assert (q < 0.05).tolist() == [True] * 4 + [False] * 11
    assert q[3] == pytest.approx(0.0095 * 15 / 4)
    assert q[-1] == 1


def test_q_does_not_depend_on_order_and_leaves_out_the_undefined():
    p = np.array([0.2, np.nan, 0.01, 0.03])
    q = false_discovery(p)
    assert np.isnan(q[1])
    assert np.isnan(p[1])  # what came in stays as it was
    assert q[[2, 3, 0]].tolist() == pytest.approx([0.03, 0.045, 0.2])
    assert np.isnan(false_discovery(np.full(2, np.nan))).all()
