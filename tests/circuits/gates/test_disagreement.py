"""The gates themselves: 0 where two things are the same, and the difference where they are not."""

from dataclasses import replace

import pytest
import torch

from pipeline.circuits.gates import disagreement
from pipeline.circuits.gates.gauge import regauged
from pipeline.circuits.terms.walk import walk
from pipeline.circuits.transformer.weights import Weights

N_HEADS, N = 2, 6
TOKENS = torch.randint(10, (3, N), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def layers():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(2, N_HEADS, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    W_O = random(2, N_HEADS, 4, 8)
    weights = Weights("queries_and_keys", random(10, 8), random(8, 10), W_O=W_O, W_pos=random(N, 8), **tall)
    return list(walk(weights, TOKENS, at_once=3, apart=2))


def test_the_largest_difference_is_told_head_by_head():
    ours = torch.zeros(2, 3, 4, 4)
    theirs = ours.clone()
    theirs[1, 2, 0, 3] = -5
    assert disagreement.worst(ours, theirs).tolist() == [0, 0, 5]
    theirs[0, 1] = torch.nan
    assert disagreement.worst(ours, theirs).isnan().tolist() == [False, True, False]


def test_undefined_scores_agree_with_undefined_ones_only():
    ours, theirs = torch.tensor([1.0, torch.nan, torch.nan]), torch.tensor([1.5, torch.nan, 0.0])
    found = disagreement.difference(ours, theirs)
    assert found[:2].tolist() == [0.5, 0]
    assert found[2].isnan()


def test_terms_add_up_to_the_product_of_what_they_add_up_from(layers):
    sources = layers[1].queries_keys()
    query, key = (sum(side) for side in zip(*sources.values(), strict=True))
    torch.testing.assert_close(disagreement.sum_of_terms(sources), query @ key.mT / 2)


def test_factors_say_what_dense_matrices_say(layers):
    for layer in layers:
        for name, error in disagreement.factored_errors(layer.weights, 0).items():
            assert error.shape == (N_HEADS,)
            assert error.max() < 1e-9, name


def test_a_head_with_maps_within_is_the_same_head(layers):
    others = [regauged(layer.weights, torch.Generator().manual_seed(2)) for layer in layers]
    for layer, other in zip(layers, others, strict=True):
        sources = (layer.queries_keys(), replace(layer, weights=other).queries_keys())
        for name, error in disagreement.gauge_errors(layer.weights, other, layer.before, sources).items():
            assert error.max() < 1e-9, name
    errors = disagreement.composition_errors([layer.weights for layer in layers], others)
    assert set(errors) == {"composition_Q", "composition_K", "composition_V"}
    assert max(error.max() for error in errors.values()) < 1e-9


def test_another_head_is_not(layers):
    layer = layers[1]
    W_K = layer.weights.W_K.clone()
    W_K[0, 1] *= 1.01  # sharper: its scores and pattern change, what it copies does not
    other = replace(layer.weights, W_K=W_K)
    errors = disagreement.gauge_errors(
        layer.weights, other, layer.before, (layer.queries_keys(), replace(layer, weights=other).queries_keys())
    )
    for name in ("terms", "pattern", "output", "previous_token_positional"):
        assert (errors[name] > 1e-6).tolist() == [False, True], name
    for name in ("copying_eigenvalue", "copying_diagonal_z", "copying_top1"):
        assert errors[name].tolist() == [0, 0], name
