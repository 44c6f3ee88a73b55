"""The walk through a model's layers, against a trace of the whole."""

import pytest
import torch
from safetensors.torch import load_file
from tiny_checkpoints import CHECKPOINTS, D_VOCAB

from pipeline.circuits.terms.terms import queries_and_keys
from pipeline.circuits.terms.walk import walk
from pipeline.circuits.transformer.forward import forward
from pipeline.models.families import to_weights

TOKENS = torch.randint(D_VOCAB, (5, 9), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def weights(save):
    def weights_of(name, **shape):
        folder, model = save(name, shape=shape)
        return to_weights(model.config.to_dict(), load_file(folder / "model.safetensors").__getitem__)

    return weights_of


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_it_meets_what_a_trace_keeps(name, weights):
    weights = weights(name)
    trace = forward(weights.double(), TOKENS)
    layers = list(walk(weights, TOKENS, batch=2, apart=2))
    assert len(layers) == weights.n_layers
    for number, layer in enumerate(layers):
        torch.testing.assert_close(layer.before, trace.resid[:, number])
        torch.testing.assert_close(layer.after, trace.resid[:, number + 1])
        torch.testing.assert_close(sum(layer.parts.values()).expand_as(layer.before), layer.before)
        expected = queries_and_keys(weights.double(), trace, number)
        sides = layer.sides()
        assert list(sides) == list(expected)
        for source, pair in sides.items():
            torch.testing.assert_close(pair, expected[source])


def test_one_head_reads_what_it_reads_among_all(weights):
    for layer in walk(weights("gpt2"), TOKENS, batch=3, apart=2):
        whole = layer.sides()
        for source, (query, key) in layer.sides(slice(2, 3)).items():
            torch.testing.assert_close((query[:, 0], key[:, 0]), (whole[source][0][:, 2], whole[source][1][:, 2]))


def test_early_layers_become_one_source_and_still_make_the_stream(weights):
    layers = list(walk(weights("gpt2", n_layer=6), TOKENS, batch=5, apart=2))
    assert list(layers[1].parts) == ["token", "position", "0.0", "0.1", "0.2", "0.3", "bias", "mlp.0"]
    assert set(layers[3].parts) - {"token", "position", "bias"} == {
        f"{kind}.{place}" for kind in ("attention", "mlp") for place in (0, 1, 2)
    }
    assert set(layers[5].parts) - {"token", "position", "bias"} == {
        f"{kind}.{place}" for kind in ("attention", "mlp") for place in ("0-2", 3, 4)
    }
    torch.testing.assert_close(sum(layers[5].parts.values()), layers[5].before)
