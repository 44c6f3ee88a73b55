import pytest
import torch
from hand_wired import COPY, D_VOCAB, induction_network, tokens

from pipeline.circuits.chance.null_circuits import balanced, of_trace
from pipeline.circuits.chance.random_matrices import orthogonal
from pipeline.circuits.definitions.views import Pass
from pipeline.circuits.scores.held import Held
from pipeline.circuits.scores.outputs import attended_logits, between_halves, inactivity, turned_logits
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
    found = Pass(weights, trace, Held.of(weights, trace), 1, first=1).attended_logits()
    pattern, same = trace.pattern[:, 1, 0, 1:], (sequences[:, :, None] == sequences[:, None, :]).double()
    given = pattern @ same[:, :, 1:]  # what the tokens at later keys get, wherever they stand
    shares = (pattern[..., 1:] * (given - 1 / D_VOCAB)).sum(-1)
    torch.testing.assert_close(found[:, 0], sign * COPY * shares.mean(-1))
    assert (found[:, 1] == 0).all()


def test_turning_a_head_between_its_halves_spreads_what_it_adds_to_logits_as_the_closed_form_says():
    """Each draw is a head of its own, with W_V W_O turned, measured as any other."""
    read, W_O, seen = random(6, 3), random(3, 6, seed=1), random(4, 1, 5, 6, seed=2)
    asked_of_stream = random(4, 1, 5, 6, seed=3)
    A, B = balanced(read, W_O.mT)

    def total(values, written):
        return attended_logits(seen @ values, asked_of_stream @ written.mT).sum()

    turns = orthogonal(4000, 3, torch.Generator().manual_seed(0))
    drawn = torch.stack([total(A @ turn, B.mT) for turn in turns])
    matrix = between_halves(turned_logits(seen @ read, asked_of_stream @ W_O.mT), W_O[None])
    torch.testing.assert_close(matrix[0].trace(), total(read, W_O))
    mean, deviation = of_trace(matrix)
    assert mean.item() == 0
    assert abs(drawn.mean()) < 5 * deviation / 4000**0.5
    assert drawn.std().item() == pytest.approx(deviation.item(), rel=0.05)


def test_a_head_that_raises_the_same_tokens_wherever_it_looks_chooses_none():
    """One that looks at one token after the other and raises always the first: what it adds follows no attention."""
    asked, z = random(1, 1, 6, 4), random(1, 1, 1, 4, seed=1).expand(1, 1, 6, 4)
    apart = [x - x.mean(2, keepdim=True) for x in (z, asked)]
    assert attended_logits(z, asked).abs().item() > 0.1
    assert attended_logits(*apart).item() == pytest.approx(0, abs=1e-12)
