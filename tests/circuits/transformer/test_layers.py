import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from pipeline.circuits.transformer import layers
from pipeline.circuits.transformer.weights import Weights

LAYERS, HEADS, D_MODEL, D_HEAD, D_FF, N = 2, 3, 6, 4, 5, 7


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(**changes):
    tall = {name: random(LAYERS, HEADS, D_MODEL, D_HEAD, seed=n) for n, name in enumerate(("W_Q", "W_K", "W_V"))}
    weights = Weights(
        "none", random(9, D_MODEL), random(D_MODEL, 9), W_O=random(LAYERS, HEADS, D_HEAD, D_MODEL), **tall
    )
    return replace(weights, **changes)


RESID = random(2, N, D_MODEL, seed=9)


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_norms_are_those_of_torch(norm):
    gain, bias = random(D_MODEL, seed=1), random(D_MODEL, seed=2) if norm == "layer" else None
    normalised, scale = layers.normalise(network(norm=norm), RESID, gain, bias)
    if norm == "layer":
        expected = functional.layer_norm(RESID, (D_MODEL,), gain, bias, 1e-5)
    else:
        expected = functional.rms_norm(RESID, (D_MODEL,), gain, 1e-5)
    assert_close(normalised, expected)
    centred = RESID - RESID.mean(-1, keepdim=True) if norm == "layer" else RESID
    assert_close(scale, (centred.pow(2).sum(-1) / D_MODEL + 1e-5).sqrt())


def test_without_a_gain_nothing_is_normalised():
    assert layers.normalise(network(), RESID, None, None) == (RESID, None)


def test_what_a_family_lacks_adds_nothing():
    assert layers.added(RESID, None) is RESID
    assert_close(layers.added(RESID, torch.ones(D_MODEL)), RESID + 1)
    assert layers.at(None, 1) is None
    assert layers.at(torch.tensor([[1.0], [2.0]]), 1).tolist() == [2]


def test_constants_of_attention_are_what_biases_of_values_and_outputs_add():
    """Rows of a pattern sum to 1, so that every head writes b_V W_O whatever it attends to."""
    weights = network(b_V=random(LAYERS, HEADS, D_HEAD, seed=4), b_O=random(LAYERS, D_MODEL, seed=5))
    pattern = layers.attend(weights, RESID, 1)["pattern"]
    values = layers.values(weights, RESID, 1) + weights.b_V[1, :, None]
    expected = (pattern @ values @ weights.W_O[1]).sum(1) + weights.b_O[1]
    assert_close(layers.attention_output(weights, RESID, 1)[1], expected)
    assert layers.attention_constant(network(), 0) is None
    assert_close(layers.attention_constant(network(b_O=weights.b_O), 1), weights.b_O[1])


def test_a_frozen_pattern_is_attended_with():
    """Each query looks at itself alone: a head writes the value of its own place."""
    weights = network()
    frozen = torch.eye(N, dtype=torch.float64).expand(2, HEADS, -1, -1)
    assert_close(layers.attend(weights, RESID, 0, frozen)["z"], layers.values(weights, RESID, 0))


def test_positions_join_queries_and_keys_where_the_model_says_so():
    weights = network(positions="queries_and_keys", W_pos=random(N, D_MODEL, seed=6))
    placed = RESID + weights.W_pos
    assert_close(layers.queries(weights, RESID, 1), placed[:, None] @ weights.W_Q[1])
    assert_close(layers.keys(weights, RESID, 1), placed[:, None] @ weights.W_K[1])
    assert_close(layers.values(weights, RESID, 1), RESID[:, None] @ weights.W_V[1])


def test_heads_read_the_stream_behind_a_norm_that_stands_before_them():
    gain = random(LAYERS, D_MODEL, seed=1)
    read, _ = layers.what_heads_read(network(ln1_gain=gain), RESID, 1)
    assert_close(read, functional.layer_norm(RESID, (D_MODEL,), gain[1], None, 1e-5))
    assert layers.what_heads_read(network(ln1_gain=gain, norm_place="after"), RESID, 1) == (RESID, None)


@pytest.mark.parametrize("gated", [False, True])
def test_a_feed_forward_part_by_plain_loops(gated):
    sizes = {name: random(LAYERS, D_FF, D_MODEL, seed=n) for n, name in enumerate(("ff_keys", "ff_values", "ff_gates"))}
    weights = network(**sizes, ff_key_bias=random(LAYERS, D_FF, seed=7), activation="silu")
    weights = weights if gated else replace(weights, ff_gates=None)
    x = RESID[1, 3].tolist()
    activations = []
    for neuron in range(D_FF):
        answer = sum(a * b for a, b in zip(x, weights.ff_keys[1, neuron].tolist(), strict=True))
        answer += weights.ff_key_bias[1, neuron].item()
        gate = answer
        if gated:
            gate = sum(a * b for a, b in zip(x, weights.ff_gates[1, neuron].tolist(), strict=True))
        activations.append(gate / (1 + math.exp(-gate)) * (answer if gated else 1))
    activations = torch.tensor(activations, dtype=torch.float64)
    assert_close(layers.neuron_activations(weights, RESID, 1)[1, 3], activations)
    assert_close(layers.feed_forward(weights, RESID, 1)[1, 3], activations @ weights.ff_values[1])


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match="activation 'swish' is not one of gelu_new"):
        layers.activation_of(network(activation="swish"))
