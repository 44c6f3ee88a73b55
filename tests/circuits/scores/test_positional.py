import math

import pytest
import torch

from pipeline.circuits.scores.positional import mean_attention, position_circuit, recall
from pipeline.circuits.transformer.weights import Weights

N_CTX = 9
EYE = torch.eye(N_CTX, dtype=torch.float64)


def looking(offset, gain):
    """Queries that score `gain` at the key `offset` back, if there is one, and 0 elsewhere; and their keys."""
    return gain * math.sqrt(N_CTX) * EYE.roll(-offset, 1) * (torch.arange(N_CTX) >= offset)[:, None], EYE


@pytest.mark.parametrize("gain", [0.0, 1.5, 20.0])
def test_attention_to_the_position_before(gain):
    expected = [math.exp(gain) / (math.exp(gain) + query) for query in range(1, N_CTX)]
    assert mean_attention(*looking(1, gain)).item() == pytest.approx(sum(expected) / len(expected))


def test_recall_is_perfect_for_a_head_that_looks_one_back_and_none_for_one_that_looks_two_back():
    assert recall(*looking(1, 0.1)).item() == 1
    # Position 1 has no key two back; all its scores are 0, and the first of equal keys is the one before it.
    assert recall(*looking(2, 5.0)).item() == 1 / (N_CTX - 1)


def test_later_keys_compete():
    rows, columns = looking(1, 1.0)
    rows[3, 5] = 2 * rows.max()
    assert mean_attention(rows, columns) == mean_attention(*looking(1, 1.0))
    assert recall(rows, columns).item() == (N_CTX - 2) / (N_CTX - 1)


def test_a_model_without_positions_has_no_such_circuit():
    eye = torch.eye(2)
    weights = Weights("none", eye, eye, **dict.fromkeys(("W_Q", "W_K", "W_V", "W_O"), eye[None, None]))
    with pytest.raises(ValueError, match=r"position_circuit of head 0\.0: the model has no W_pos"):
        position_circuit(weights, (0, 0))


def test_the_circuit_is_that_of_positions_alone():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(1, 2, 6, 3) for name in ("W_Q", "W_K", "W_V")}
    weights = Weights("residual", random(5, 6), random(6, 5), W_pos=random(4, 6), W_O=random(1, 2, 3, 6), **tall)
    rows, columns = position_circuit(weights, (0, 1))
    dense = weights.W_pos @ weights.W_Q[0, 1] @ weights.W_K[0, 1].mT @ weights.W_pos.mT
    torch.testing.assert_close(rows @ columns.mT, dense)
