"""The walk through a model's layers, against a trace of the whole."""

import pytest
import torch
from safetensors.torch import load_file
from tiny_checkpoints import CHECKPOINTS, D_VOCAB

from pipeline.circuits.terms.sources import terms
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
    layers = list(walk(weights, TOKENS, at_once=2, apart=2))
    assert len(layers) == weights.n_layers
    for number, layer in enumerate(layers):
        torch.testing.assert_close(layer.before, trace.resid[:, number])
        torch.testing.assert_close(layer.computed["z"], trace.z[:, number])
        torch.testing.assert_close(layer.after, trace.resid[:, number + 1])
        torch.testing.assert_close(sum(layer.sources.values()).expand_as(layer.before), layer.before)
        torch.testing.assert_close(sum(term for _, _, term in terms(layer.queries_keys())), trace.scores[:, number])


def test_one_head_reads_what_it_reads_among_all(weights):
    for layer in walk(weights("gpt2"), TOKENS, at_once=3, apart=2):
        whole = layer.queries_keys()
        for source, (query, key) in layer.queries_keys(slice(2, 3)).items():
            torch.testing.assert_close((query[:, 0], key[:, 0]), (whole[source][0][:, 2], whole[source][1][:, 2]))


def test_early_layers_become_one_source_and_still_make_the_stream(weights):
    layers = list(walk(weights("gpt2", n_layer=6), TOKENS, at_once=5, apart=2))
    assert list(layers[1].sources) == ["token", "position", "0.0", "0.1", "0.2", "0.3", "bias", "mlp.0"]
    assert set(layers[3].sources) - {"token", "position", "bias"} == {
        f"{kind}.{place}" for kind in ("attention", "mlp") for place in (0, 1, 2)
    }
    assert set(layers[5].sources) - {"token", "position", "bias"} == {
        f"{kind}.{place}" for kind in ("attention", "mlp") for place in ("0-2", 3, 4)
    }
    torch.testing.assert_close(sum(layers[5].sources.values()), layers[5].before)
