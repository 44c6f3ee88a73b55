"""Ablations run what comes after a change anew, in every family."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny_checkpoints import CHECKPOINTS, D_VOCAB

from pipeline.circuits.causes.ablation import losses_with
from pipeline.circuits.causes.edges import without_edge
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.models.families import to_weights

TOKENS = torch.randint(D_VOCAB, (2, 12), generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=CHECKPOINTS)
def weights(request, save):
    folder, model = save(request.param)
    return to_weights(model.config.to_dict(), load_file(folder / "model.safetensors").__getitem__).double()


def without_output(weights, head):
    W_O = weights.W_O.clone()
    W_O[head] = 0
    return replace(weights, W_O=W_O)


@pytest.mark.parametrize("head", [(0, 1), (1, 0)])
def test_a_head_taken_away_is_a_model_without_its_output_map(weights, head):
    trace = forward(weights, TOKENS)
    values = trace.z[:, *head] + (0 if weights.b_V is None else weights.b_V[head])
    found = losses_with(weights, trace, head[0], -values @ weights.W_O[head])
    expected = token_losses(forward(without_output(weights, head), TOKENS).logits, TOKENS)
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert not torch.allclose(found[:, 1:], token_losses(trace.logits, TOKENS)[:, 1:])


def test_cutting_the_edge_of_a_silent_head_leaves_the_reader_as_it_was(weights):
    silent = without_output(weights, (0, 1))
    trace = forward(silent, TOKENS)
    for attention, z in without_edge(silent, trace, (0, 1), 1).values():
        torch.testing.assert_close(attention, trace.pattern[:, 1])
        torch.testing.assert_close(z, trace.z[:, 1])
    speaks = forward(weights, TOKENS)
    for kind, (attention, z) in without_edge(weights, speaks, (0, 1), 1).items():
        assert torch.equal(attention, speaks.pattern[:, 1]) == (kind == "V")
        assert not torch.allclose(z, speaks.z[:, 1])
