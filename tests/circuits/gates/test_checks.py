"""Gates on a model whose own forward pass is known: nothing is raised, and what is changed is raised where it is."""

import math

import pytest
import torch

from pipeline.circuits.gates.checks import largest, of_layers, on_sequences, verdict
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights

N_HEADS, N = 2, 6
TOKENS = torch.randint(10, (3, N), generator=torch.Generator().manual_seed(1))
HOW = {"at_once": 2, "apart": 2}


def double(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64) / 2  # noqa: E731
    tall = {name: random(2, N_HEADS, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    W_O = random(2, N_HEADS, 4, 8)
    return Weights("queries_and_keys", random(10, 8), random(8, 10), W_O=W_O, W_pos=random(N, 8), **tall)


@pytest.fixture
def own(weights):
    """What the model computes, were its own code the forward pass written out."""
    trace = forward(weights, TOKENS)
    return {name: getattr(trace, name).clone() for name in ("scores", "pattern", "logits")}


def failing(weights, own):
    errors = largest(on_sequences(weights, TOKENS, **own, **HOW))
    return {(*check, head) for check, error in errors.items() for head in (error > 1e-9).nonzero().flatten().tolist()}


def test_nothing_is_raised_where_all_agree(weights, own):
    errors = largest(on_sequences(weights, TOKENS, **own, **HOW))
    layered = {
        (gate, gate if gate == "pattern" else "scores", layer) for gate in ("terms", "pattern") for layer in (0, 1)
    }
    whole = {(gate, "loss" if gate == "orders" else "logits", None) for gate in ("logits", "parts", "paths", "orders")}
    assert set(errors) == layered | whole
    assert max(error.max() for error in errors.values()) < 1e-12
    of_heads = largest(
        of_layers(weights, TOKENS[:1], **HOW, dense_tokens=10, generator=torch.Generator().manual_seed(2))
    )
    assert {check[0] for check in of_heads} == {"factored", "gauge"}
    assert max(error.max() for error in of_heads.values()) < 1e-9


def test_what_differs_is_raised_at_its_layer_and_head(weights, own):
    own["scores"][2, 1, 0, 3, 1] += 1e-6
    assert failing(weights, own) == {("terms", "scores", 1, 0)}
    own["pattern"][0, 0, 1, 5, 5] += 1e-6
    assert failing(weights, own) == {("terms", "scores", 1, 0), ("pattern", "pattern", 0, 1)}


def test_scores_of_keys_that_are_not_seen_are_not_compared(weights, own):
    own["scores"][..., 0, 1] = 1e9
    assert failing(weights, own) == set()


def test_logits_are_held_against_the_last_layer_the_parts_the_paths_and_the_orders(weights, own):
    own["logits"][1, 4, TOKENS[1, 5]] += 1e-3
    errors = largest(on_sequences(weights, TOKENS, **own, **HOW))
    assert float(errors["logits", "logits", None]) == pytest.approx(1e-3)
    assert float(errors["paths", "logits", None]) == pytest.approx(1e-3)
    assert float(errors["parts", "logits", None]) == pytest.approx(1e-3 * (1 - 1 / 10))  # the mean of ten rises too
    share = float(own["logits"][1, 4].softmax(-1)[TOKENS[1, 5]])
    assert float(errors["orders", "loss", None]) == pytest.approx(1e-3 * (1 - share), rel=1e-2)


def test_the_largest_error_of_a_check_is_kept_head_by_head():
    check, other = ("terms", "scores", 0), ("logits", "logits", None)
    first, second = double([1.0, 5.0, 0.0]), double([2.0, 3.0, math.nan])
    found = largest([(check, first), (other, double(0.5)), (check, second)])
    assert found[check][:2].tolist() == [2, 5]
    assert found[check][2].isnan()
    assert found[other] == 0.5


def test_the_first_check_that_fails_is_told_or_the_nearest_to_failing():
    tolerance = {"terms": 0.1, "logits": 10.0}
    terms, logits, later = ("terms", "scores", 0), ("logits", "logits", None), ("terms", "scores", 1)
    errors = {terms: double([0.01, 0.05]), logits: double(9.0), later: double([0.0, 0.0])}
    assert verdict(errors, tolerance) == (logits, 9.0, False)
    errors[later] = double([0.2, 0.0])
    assert verdict(errors, tolerance) == (later, pytest.approx(0.2), True)
    errors[logits] = double(math.nan)
    assert verdict(errors, tolerance)[::2] == (logits, True)
