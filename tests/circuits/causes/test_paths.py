import math
from itertools import product

import pytest
import torch

from pipeline.circuits.causes.paths import order_losses, path_names, path_outputs
from pipeline.circuits.scores.held import Held
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights

N_HEADS, D_VOCAB, LENGTH = 3, 11, 7


def network(n_layers=2, **tensors):
    generator = torch.Generator().manual_seed(3)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(n_layers, N_HEADS, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    wide = {"W_O": random(n_layers, N_HEADS, 4, 8), "W_U": random(8, D_VOCAB)}
    ends = {"W_E": random(D_VOCAB, 8), "W_pos": random(LENGTH, 8)}
    return Weights(positions="queries_and_keys", **{**tall, **wide, **ends, **tensors})


def traced(weights):
    tokens = torch.randint(D_VOCAB, (2, LENGTH), generator=torch.Generator().manual_seed(4))
    return Held.of(weights, forward(weights, tokens))


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_paths_sum_to_the_logits(n_layers):
    weights = network(n_layers)
    held = traced(weights)
    paths = path_outputs(held)
    assert paths.shape[1] == len(path_names(weights)) == (1 + N_HEADS) ** n_layers
    torch.testing.assert_close(paths.sum(1) @ weights.W_U, held.trace.logits)


def test_each_path_is_the_product_of_its_patterns_and_circuits():
    weights = network()
    held = traced(weights)
    paths = dict(zip(path_names(weights), path_outputs(held).unbind(1), strict=True))
    X = weights.W_E[held.trace.tokens]
    OV = weights.W_V @ weights.W_O
    torch.testing.assert_close(paths["direct", "direct"], X)
    for first, second in product(range(N_HEADS), repeat=2):
        A0, A1 = held.trace.pattern[:, 0, first], held.trace.pattern[:, 1, second]
        torch.testing.assert_close(paths[f"0.{first}", "direct"], A0 @ X @ OV[0, first])
        torch.testing.assert_close(paths["direct", f"1.{second}"], A1 @ X @ OV[1, second])
        virtual = A1 @ A0 @ X @ OV[0, first] @ OV[1, second]
        torch.testing.assert_close(paths[f"0.{first}", f"1.{second}"], virtual)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_the_highest_order_is_the_model_and_order_0_the_direct_path(n_layers):
    weights = network(n_layers)
    held = traced(weights)
    losses = order_losses(held)
    assert len(losses) == n_layers + 1
    direct = weights.W_E[held.trace.tokens] @ weights.W_U
    torch.testing.assert_close(losses[0], token_losses(direct, held.trace.tokens), equal_nan=True)
    torch.testing.assert_close(losses[-1], token_losses(held.trace.logits, held.trace.tokens), equal_nan=True)


def test_an_order_is_the_sum_of_the_paths_through_as_many_heads():
    weights = network(3)
    held = traced(weights)
    heads_passed = torch.tensor([sum(name != "direct" for name in path) for path in path_names(weights)])
    paths = path_outputs(held)
    for order, losses in enumerate(order_losses(held)):
        logits = paths[:, heads_passed <= order].sum(1) @ weights.W_U
        torch.testing.assert_close(losses, token_losses(logits, held.trace.tokens), equal_nan=True)


def test_heads_that_write_nothing_leave_every_order_alike():
    weights = network(W_O=torch.zeros(2, N_HEADS, 4, 8, dtype=torch.float64))
    orders = order_losses(traced(weights))
    torch.testing.assert_close(orders, orders[:1].expand_as(orders), equal_nan=True)


def test_a_model_that_unembeds_nothing_loses_the_logarithm_of_the_vocabulary_at_every_order():
    weights = network(W_U=torch.zeros(8, D_VOCAB, dtype=torch.float64))
    orders = order_losses(traced(weights))[:, :, 1:]
    torch.testing.assert_close(orders, torch.full_like(orders, math.log(D_VOCAB)))
