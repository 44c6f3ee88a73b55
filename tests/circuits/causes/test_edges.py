import math

import pytest
import torch
from hand_wired import COPY, D_VOCAB, PERIOD, induction_network, tokens
from torch.testing import assert_close

from pipeline.circuits.causes.edges import INPUTS, every_edge, without_edge
from pipeline.circuits.scores.induction import targets
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights

HEADS = [(0, 0), (0, 1)], [(1, 0), (1, 1)]


def cut(weights, sequences, batch=8):
    return every_edge(weights, sequences, *HEADS, targets(sequences, 0), batch)


def test_only_the_keys_of_the_induction_head_read_the_previous_token_head():
    losses, whole, moved = cut(induction_network(), tokens())
    edge = (0, INPUTS.index("K"), 0)  # 0.0 -> 1.0 through keys
    for place in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(2)).tolist():
        if tuple(place) != edge:
            assert_close(losses[tuple(place)], whole, equal_nan=True)
            assert moved[tuple(place)].item() == pytest.approx(0)
    # Without it, attention is even over all that is seen, of which one key in position + 1 is the match.
    queries = range(PERIOD + 1, 2 * PERIOD + 1)
    even = sum(1 / (query + 1) for query in queries) / len(queries)
    assert moved[edge].item() == pytest.approx(even - 1)
    for sentence, row in enumerate(tokens().tolist()):
        for position in range(PERIOD + 2, len(row)):
            logits = [COPY * row[:position].count(token) / position for token in range(D_VOCAB)]
            expected = math.log(sum(map(math.exp, logits))) - logits[row[position]]
            assert losses[edge][sentence, position].item() == pytest.approx(expected)


def network():
    generator = torch.Generator().manual_seed(1)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    named = {name: random(2, 2, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    named |= {"W_E": random(11, 8), "W_U": random(8, 11), "W_pos": random(7, 8), "W_O": random(2, 2, 4, 8)}
    return Weights(positions="queries_and_keys", ln1_gain=random(2, 8), ln_final_gain=random(8), **named)


def normed(x, gain, eps=1e-5):
    x = x - x.mean()
    return x / (x.square().mean() + eps).sqrt() * gain


@pytest.mark.parametrize("cut_input", INPUTS)
def test_a_cut_edge_by_plain_loops(cut_input):
    weights, sequences = network(), torch.tensor([[3, 1, 4, 1, 5]])
    source, reader = (0, 1), (1, 0)
    trace = forward(weights, sequences)
    written = trace.z[0, *source] @ weights.W_O[source]
    stream = {side: trace.resid[0, 1] - (written if side == cut_input else 0) for side in INPUTS}
    read = {side: [normed(x, weights.ln1_gain[1]) for x in rows] for side, rows in stream.items()}
    z = []
    for query in range(5):
        q = (read["Q"][query] + weights.W_pos[query]) @ weights.W_Q[reader]
        keys = [(read["K"][key] + weights.W_pos[key]) @ weights.W_K[reader] for key in range(query + 1)]
        attention = torch.stack([q @ key / 2 for key in keys]).softmax(0)
        z.append(sum(attention[key] * (read["V"][key] @ weights.W_V[reader]) for key in range(query + 1)))
    z_cut = without_edge(weights, trace, source, 1)[cut_input].z
    assert_close(z_cut[0, 0], torch.stack(z))

    final = trace.resid[0, 2] + (torch.stack(z) - trace.z[0, *reader]) @ weights.W_O[reader]
    logits = torch.stack([normed(x, weights.ln_final_gain) for x in final]) @ weights.W_U
    losses, _, _ = every_edge(weights, sequences, [source], [reader], targets(sequences, 0), 1)
    assert_close(losses[0, INPUTS.index(cut_input), 0], token_losses(logits[None], sequences), equal_nan=True)


def test_portions_bound_memory_and_change_nothing():
    whole, portioned = (cut(induction_network(), tokens(), batch) for batch in (9, 1))
    for one, other in zip(whole, portioned, strict=True):
        assert_close(one, other, equal_nan=True)


def test_where_nothing_repeats_no_match_can_change():
    _, _, moved = cut(induction_network(), torch.tensor([[0, 1, 2, 3]]))
    assert moved.isnan().all()


def test_losses_at_some_places_are_those_of_all_places():
    sequences, places = torch.tensor([[3, 1, 4, 1, 5], [2, 7, 1, 8, 2]]), torch.tensor([2, 4])
    role = targets(sequences, 0)
    every, few = (every_edge(network(), sequences, *HEADS, role, 2, wanted) for wanted in (None, places))
    for losses, at_places in zip(every[:2], few[:2], strict=True):
        assert_close(at_places[..., places], losses[..., places])
        assert at_places[..., [0, 1, 3]].isnan().all()
    assert_close(every[2], few[2], equal_nan=True)
