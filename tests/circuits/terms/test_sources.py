from dataclasses import replace

import pytest
import torch

from pipeline.circuits.terms.sources import early_layers_merged, sources_read, streams, terms
from pipeline.circuits.terms.walk import walk
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights

D_MODEL, D_HEAD, N_HEADS, D_FF, N = 6, 2, 3, 5, 7


def network(positions="queries_and_keys", n_layers=2):
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(n_layers, N_HEADS, D_MODEL, D_HEAD) for name in ("W_Q", "W_K", "W_V")}
    return Weights(
        positions,
        random(9, D_MODEL),
        random(D_MODEL, 9),
        W_O=random(n_layers, N_HEADS, D_HEAD, D_MODEL),
        W_pos=None if positions == "none" else random(N, D_MODEL),
        **tall,
    )


def gpt2_like(n_layers=3):
    """Every part a family may have: biases, layer norms, feed-forward layers, all with random values."""
    generator = torch.Generator().manual_seed(1)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return replace(
        network("residual", n_layers),
        **{name: random(n_layers, N_HEADS, D_HEAD) for name in ("b_Q", "b_K", "b_V")},
        **{name: random(n_layers, D_MODEL) for name in ("b_O", "ln1_gain", "ln1_bias", "ln2_gain", "ln2_bias")},
        ff_keys=random(n_layers, D_FF, D_MODEL),
        ff_key_bias=random(n_layers, D_FF),
        ff_values=random(n_layers, D_FF, D_MODEL),
        ff_value_bias=random(n_layers, D_MODEL),
        ln_final_gain=random(D_MODEL),
        ln_final_bias=random(D_MODEL),
        activation="gelu_new",
    )


TOKENS = torch.tensor([[3, 1, 4, 1, 5, 0, 2], [2, 7, 1, 8, 2, 8, 1]])
NETWORKS = {
    "shortformer": network(),
    "no positions": network("none"),
    "positions in the stream": network("residual"),
    "three layers": network(n_layers=3),
    "gpt2": gpt2_like(),
    "biases without layer norm": replace(gpt2_like(), ln1_gain=None, ln1_bias=None),
    "layer norm without biases": replace(gpt2_like(), b_Q=None, b_K=None, b_V=None, b_O=None, ff_value_bias=None),
    "shortformer with layer norm": replace(gpt2_like(), positions="queries_and_keys"),
}


def layer_of(weights, number):
    """One layer of a network on TOKENS, all earlier layers told apart."""
    return list(walk(weights, TOKENS, len(TOKENS), weights.n_layers))[number]


def read(weights, number):
    """What queries and keys of a layer read, by source."""
    layer = layer_of(weights, number)
    return sources_read(layer.weights, layer.sources, layer.computed.get("ln1_scale"))


def dense(weights, trace, layer, query, key):
    """Scores between two inputs [batch, position, d_model], from W_Q W_K^T."""
    W_QK = weights.W_Q[layer] @ weights.W_K[layer].mT
    return query[:, None] @ W_QK @ key[:, None].mT / D_HEAD**0.5


@pytest.mark.parametrize("name", NETWORKS)
def test_terms_sum_to_the_scores(name):
    weights = NETWORKS[name]
    trace = forward(weights, TOKENS)
    for layer in range(weights.n_layers):
        sources = layer_of(weights, layer).queries_keys()
        for split in (sources, streams(sources)):
            total = sum(term for _, _, term in terms(split))
            torch.testing.assert_close(total, trace.scores[:, layer])


@pytest.mark.parametrize(
    ("name", "layer", "expected"),
    [
        ("shortformer", 0, ["token", "position"]),
        ("shortformer", 1, ["token", "0.0", "0.1", "0.2", "position"]),
        ("no positions", 1, ["token", "0.0", "0.1", "0.2"]),
        ("three layers", 2, ["token", "attention.0", "attention.1", "position"]),
        ("gpt2", 0, ["token", "position", "bias"]),
        ("gpt2", 1, ["token", "position", "0.0", "0.1", "0.2", "mlp.0", "bias"]),
        ("gpt2", 2, ["token", "position", "attention.0", "mlp.0", "attention.1", "mlp.1", "bias"]),
    ],
)
def test_each_layer_has_its_sources(name, layer, expected):
    weights = NETWORKS[name]
    assert list(read(weights, layer)) == expected


def test_every_pair_of_sources_has_its_term():
    sources = layer_of(NETWORKS["shortformer"], 1).queries_keys()
    assert len({(query, key) for query, key, _ in terms(sources)}) == (2 + N_HEADS) ** 2


def test_streams_are_all_but_positions_and_constants():
    weights = NETWORKS["gpt2"]
    trace = forward(weights, TOKENS)
    parts = read(weights, 1)
    split = {(query, key): term for query, key, term in terms(streams(layer_of(weights, 1).queries_keys()))}
    assert {query for query, _ in split} == {"stream", "position", "bias"}
    stream = sum(x for source, x in parts.items() if source not in ("position", "bias"))
    torch.testing.assert_close(split["stream", "position"], dense(weights, trace, 1, stream, parts["position"]))


def test_a_term_is_a_product_of_its_two_sources_alone():
    weights = NETWORKS["shortformer"]
    trace = forward(weights, TOKENS)
    found = {(query, key): term for query, key, term in terms(layer_of(weights, 1).queries_keys())}
    token, position = weights.W_E[TOKENS], weights.W_pos.expand(2, -1, -1)
    written = trace.pattern[:, 0, 2] @ token @ weights.W_V[0, 2] @ weights.W_O[0, 2]
    torch.testing.assert_close(found["position", "position"], dense(weights, trace, 1, position, position))
    torch.testing.assert_close(found["token", "0.2"], dense(weights, trace, 1, token, written))


def test_layer_norm_acts_on_each_source_with_the_scale_it_had():
    weights = NETWORKS["gpt2"]
    trace = forward(weights, TOKENS)
    resid = trace.resid[:, 2]
    scale = (resid.var(-1, correction=0) + weights.ln_eps).sqrt()
    parts = read(weights, 2)
    torch.testing.assert_close(trace.ln1_scale[:, 2], scale)
    token = weights.W_E[TOKENS]
    expected = (token - token.mean(-1, keepdim=True)) / scale[..., None] * weights.ln1_gain[2]
    torch.testing.assert_close(parts["token"], expected)
    whole = torch.nn.functional.layer_norm(resid, (D_MODEL,), weights.ln1_gain[2], weights.ln1_bias[2], weights.ln_eps)
    torch.testing.assert_close(sum(parts.values()), whole)


def test_constants_are_counted_once():
    """With nothing but constants, the bias term is all there is, and holds b_Q b_K once."""
    ones = torch.ones(1, N_HEADS, D_HEAD, dtype=torch.float64)
    weights = replace(network("none", 1), b_Q=ones, b_K=2 * ones)
    weights.W_E[:] = 0
    found = {(query, key): term for query, key, term in terms(layer_of(weights, 0).queries_keys())}
    expected = torch.full((2, N_HEADS, N, N), 2 * D_HEAD**0.5, dtype=torch.float64)
    torch.testing.assert_close(found["bias", "bias"], expected)
    assert all((term == 0).all() for pair, term in found.items() if pair != ("bias", "bias"))


def test_a_source_that_writes_nothing_has_empty_terms():
    weights = network()
    weights.W_O[0, 1] = 0
    for query, key, term in terms(layer_of(weights, 1).queries_keys()):
        assert (term.abs().max() == 0) == ("0.1" in (query, key))


def test_early_layers_become_one_source():
    ones = {name: torch.full((1, 1, 1), 2.0**place) for place, name in enumerate(("token", "0.0", "0.1", "mlp.0"))}
    second = early_layers_merged(ones, 1, apart=1)
    assert {name: written.item() for name, written in second.items()} == {"token": 1, "0.0": 2, "0.1": 4, "mlp.0": 8}
    later = second | {"attention.1": torch.full((1, 1, 1), 16.0)}
    third = early_layers_merged(later, 2, apart=1)
    assert {name: written.item() for name, written in third.items()} == {
        "token": 1,
        "attention.0": 6,
        "mlp.0": 8,
        "attention.1": 16,
    }
    fourth = early_layers_merged(third, 3, apart=1)
    assert {name: written.item() for name, written in fourth.items()} == {
        "token": 1,
        "attention.0-1": 22,
        "mlp.0-1": 8,
    }
