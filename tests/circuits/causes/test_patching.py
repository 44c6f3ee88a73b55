import pytest
import torch
from family_checks import saved_weights
from hand_wired import induction_network
from torch.testing import assert_close

from pipeline.circuits.causes.patching import patched_edges, patched_heads, patched_stream
from pipeline.circuits.transformer.forward import forward, run_layer, unembed

CLEAN, CORRUPT = torch.tensor([[3, 1, 4, 1, 5]]), torch.tensor([[3, 1, 2, 6, 5]])


@pytest.fixture(params=["gpt2", "gpt_neox", "llama", "bert"])
def runs(request, save):
    weights = saved_weights(save, request.param)[1].double()
    return weights, forward(weights, CLEAN), forward(weights, CORRUPT)


def test_heads_alone_are_what_one_run_each_gives(runs):
    weights, clean, corrupt = runs
    for layer in range(weights.n_layers):
        found = patched_heads(weights, clean, corrupt, layer)
        for head in range(weights.n_heads):
            resid = corrupt.resid[:, layer]
            for later in range(layer, weights.n_layers):
                z = {head: clean.z[:, layer, head]} if later == layer else None
                resid, _ = run_layer(weights, resid, later, z=z)
            assert_close(found[head], unembed(weights, resid)[0, -1])


def test_the_stream_at_every_position_together_is_the_clean_run(runs):
    weights, clean, corrupt = runs
    last = patched_stream(weights, clean, corrupt, weights.n_layers)
    assert_close(last[-1], clean.logits[0, -1])
    assert_close(last[:-1], corrupt.logits[:, -1].expand(4, -1))
    first = patched_stream(weights, clean, corrupt, 0)
    assert_close(first[[0, 1, 4]], corrupt.logits[:, -1].expand(3, -1))  # where both prompts are the same
    mixed = forward(weights, torch.tensor([[3, 1, 4, 6, 5]]))
    assert_close(first[2], mixed.logits[0, -1])


def test_nothing_patched_changes_nothing(runs):
    weights, _, corrupt = runs
    alike = corrupt.logits[:, -1].expand(weights.n_heads, -1)
    assert_close(patched_heads(weights, corrupt, corrupt, 0), alike)
    for logits in patched_edges(weights, corrupt, corrupt, (0, 1), 2).values():
        assert_close(logits, alike)


def test_the_induction_edge_alone_brings_the_match_back():
    weights = induction_network()
    a, b, c, d = 1, 2, 3, 4
    clean, corrupt = (forward(weights, torch.tensor([tokens])) for tokens in ([a, b, c, d, a], [d, b, c, a, a]))
    found = patched_edges(weights, clean, corrupt, (0, 0), 1)
    before = corrupt.logits[0, -1]
    # On the clean prompt the token before b is a: through keys, and through them alone, the reader looks at b.
    assert found["K"][0, b] > before[b] + 0.5 * (clean.logits[0, -1, b] - before[b])
    assert_close(found["Q"], before.expand(weights.n_heads, -1))
    assert_close(found["K"][1], before)
