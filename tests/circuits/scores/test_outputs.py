import pytest
import torch
from hand_wired import COPY, D_VOCAB, induction_network, tokens

from pipeline.circuits.scores.held import Held
from pipeline.circuits.scores.outputs import attended_logits, inactivity
from pipeline.circuits.transformer.forward import forward


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_what_a_head_writes_is_measured_by_its_length_beside_its_layer_s():
    z, W_O = random(2, 3, 5, 4), random(3, 4, 8, seed=1)
    length = (z @ W_O).norm(dim=-1).mean(-1)
    torch.testing.assert_close(inactivity(z, W_O), 1 - length / length.mean(-1, keepdim=True))


def test_a_head_that_writes_nothing_is_inactive_wherever_it_attends():
    W_O = random(3, 4, 8)
    W_O[1] = 0
    found = inactivity(random(2, 3, 5, 4, seed=1), W_O)
    assert (found[:, 1] == 1).all()
    torch.testing.assert_close(found.mean(-1), torch.zeros(2).double())
    assert inactivity(random(2, 3, 5, 4), torch.zeros(3, 4, 8).double()).isnan().all()


@pytest.mark.parametrize("sign", [1, -1])
def test_an_induction_head_gives_its_logits_to_what_it_attends_to(sign):
    """It looks at one token, or spreads over all it sees, and gives each its share of COPY; the mean is 1 / D_VOCAB."""
    weights = induction_network()
    weights.W_O[1] *= sign
    sequences = tokens()
    trace = forward(weights, sequences)
    pattern = trace.pattern[:, 1]
    found = attended_logits(pattern, Held.of(weights, trace).rise(1), first=1)
    pattern, same = pattern[:, 0, 1:], (sequences[:, :, None] == sequences[:, None, :]).double()
    given = pattern @ same[:, :, 1:]  # what the tokens at later keys get, wherever they stand
    shares = (pattern[..., 1:] * (given - 1 / D_VOCAB)).sum(-1)
    torch.testing.assert_close(found[:, 0], sign * COPY * shares.mean(-1))
    assert (found[:, 1] == 0).all()
