import math
from dataclasses import replace

import pytest
import torch

from pipeline.circuits.scores.composition import composition
from pipeline.circuits.transformer.weights import Weights


def random_weights(d_model=12, d_head=3, n_heads=2, n_layers=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(n_layers, n_heads, d_model, d_head) for name in ("W_Q", "W_K", "W_V")}
    return Weights(
        "none", random(5, d_model), random(d_model, 5), W_O=random(n_layers, n_heads, d_head, d_model), **tall
    )


def dense(weights, kind, source, reader):
    writes = weights.W_V[source] @ weights.W_O[source]
    reads = {
        "Q": weights.W_Q[reader] @ weights.W_K[reader].mT,
        "K": weights.W_K[reader] @ weights.W_Q[reader].mT,
        "V": weights.W_V[reader] @ weights.W_O[reader],
    }[kind]
    return ((writes @ reads).norm() / (writes.norm() * reads.norm())).item()


@pytest.mark.parametrize("kind", ["Q", "K", "V"])
def test_every_pair_agrees_with_dense_matrices(kind):
    weights = random_weights()
    found = composition(weights, 0, 1)[kind]
    for source in range(2):
        for reader in range(2):
            assert found[source, reader].item() == pytest.approx(dense(weights, kind, (0, source), (1, reader)))


@pytest.mark.parametrize(("sources", "readers"), [(slice(1, 2), slice(None)), (slice(None), slice(0, 1))])
def test_some_heads_have_what_they_have_among_all(sources, readers):
    weights = random_weights()
    for kind, value in composition(weights, 0, 1, sources, readers).items():
        torch.testing.assert_close(value, composition(weights, 0, 1)[kind][sources, readers])


def test_heads_that_write_what_one_side_alone_reads():
    """The source writes the second block; only keys read it. With 4 matched directions K is 1 / sqrt(4)."""
    first, second = torch.eye(8)[:, :4], torch.eye(8)[:, 4:]
    pair = lambda source, reader: torch.stack([source, reader])[:, None]  # noqa: E731
    weights = Weights(
        positions="none",
        W_E=torch.eye(8),
        W_U=torch.eye(8),
        W_Q=pair(first, first),
        W_K=pair(first, second),
        W_V=pair(first, first),
        W_O=pair(second.mT, first.mT),
    )
    found = {kind: value.item() for kind, value in composition(weights, 0, 1).items()}
    assert found == pytest.approx({"Q": 0.0, "K": 1 / math.sqrt(4), "V": 0.0})


def test_root_mean_square_over_random_weights_is_the_chance_level():
    values = torch.stack([*composition(random_weights(d_model=16, d_head=8, n_heads=40), 0, 1).values()])
    assert values.square().mean().sqrt().item() == pytest.approx(1 / math.sqrt(16), rel=0.02)


def test_the_gauge_of_a_head_does_not_matter():
    weights, gauge = random_weights(), random_weights(d_model=3, n_heads=1, seed=4).W_Q[0, 0]
    inverse = torch.linalg.inv(gauge)
    turned = replace(
        weights,
        W_Q=weights.W_Q @ gauge,
        W_K=weights.W_K @ inverse.mT,
        W_V=weights.W_V @ gauge,
        W_O=inverse @ weights.W_O,
    )
    for kind, value in composition(weights, 0, 1).items():
        torch.testing.assert_close(composition(turned, 0, 1)[kind], value)


def test_a_head_that_writes_nothing_composes_with_none():
    weights = random_weights()
    silent = replace(weights, W_O=weights.W_O * torch.tensor([0.0, 1.0]).double()[:, None, None])
    found = composition(silent, 0, 1)["K"]
    assert found[0].isnan().all()
    assert not found[1].isnan().any()
