from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.alignment import compared, correlations, matched, raw_space, vocabulary_space

D_VOCAB, D_MODEL, D_HEAD = 40, 6, 3
SHAPES = {"W_E": (D_VOCAB, D_MODEL), "W_U": (D_MODEL, D_VOCAB), "W_O": (2, 2, D_HEAD, D_MODEL)}
SHAPES |= dict.fromkeys(("W_Q", "W_K", "W_V"), (2, 2, D_MODEL, D_HEAD))


def network(seed=0, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    random = {name: torch.randn(shape, generator=generator).double() + shift for name, shape in SHAPES.items()}
    return Weights("none", **random)


def turned(weights, seed=1):
    """The same function in another basis of the stream: orthogonal, so that nothing else changes."""
    generator = torch.Generator().manual_seed(seed)
    R, _ = torch.linalg.qr(torch.randn(D_MODEL, D_MODEL, generator=generator).double())
    tall = {name: R.T @ getattr(weights, name) for name in ("W_Q", "W_K", "W_V")}
    return replace(weights, W_E=weights.W_E @ R, W_U=R.T @ weights.W_U, W_O=weights.W_O @ R, **tall)


def dense(weights, head):
    OV = weights.W_E @ weights.W_V[head] @ weights.W_O[head] @ weights.W_U
    QK = weights.W_E @ weights.W_Q[head] @ weights.W_K[head].T @ weights.W_E.T
    return {"OV": OV.flatten(), "QK": QK.flatten()}


def pearson(x, y):
    return np.corrcoef(x.numpy(), y.numpy())[0, 1]


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_kernels_give_the_correlation_of_dense_circuits_and_vectors(shift):
    a, b = network(0, shift), network(1, shift)
    found = correlations(a, b, vocabulary_space(a, b))
    for one in ((0, 1), (1, 0)):
        for other in ((0, 0), (1, 1)):
            for name, entries in dense(a, one).items():
                assert found[name][*one, *other].item() == pytest.approx(pearson(entries, dense(b, other)[name]))
            tokens = [[each.W_E @ each.W_V[head] for each, head in ((a, one), (b, other))]]
            tokens += [[(each.W_O[head] @ each.W_U).T for each, head in ((a, one), (b, other))]]
            for name, (x, y) in zip("VO", tokens, strict=True):
                sizes = [abs(pearson(x[:, i], y[:, j])) for i in range(D_HEAD) for j in range(D_HEAD)]
                assert found[name][*one, *other].item() == pytest.approx(np.mean(sizes))


def test_raw_space_correlates_the_matrices_as_they_are():
    a, b = network(0), network(1)
    found = correlations(a, b, raw_space(D_MODEL))
    one, other = (0, 1), (1, 0)
    OV = [(each.W_V[head] @ each.W_O[head]).flatten() for each, head in ((a, one), (b, other))]
    assert found["OV"][*one, *other].item() == pytest.approx(pearson(*OV))
    x, y = a.W_O[one], b.W_O[other]
    assert found["O"][*one, *other].item() == pytest.approx(np.mean([abs(pearson(u, v)) for u in x for v in y]))


def test_the_vocabulary_sees_through_a_change_of_basis_that_blinds_the_raw_space():
    a = network()
    b = turned(a)
    seen = correlations(a, b, vocabulary_space(a, b))
    blind = correlations(a, b, raw_space(D_MODEL))
    own = torch.eye(4, dtype=torch.bool).reshape(2, 2, 2, 2)
    for name in ("OV", "QK"):
        torch.testing.assert_close(seen[name][own], torch.ones(4).double())
        assert torch.equal(matched(seen[name]), own)
        assert blind[name][own].abs().max() < 0.9


def test_shuffled_tokens_hide_that_two_models_are_one():
    a = network()
    order = torch.randperm(D_VOCAB, generator=torch.Generator().manual_seed(0))
    shuffled = correlations(a, a, vocabulary_space(a, a, order))
    b = replace(a, W_E=a.W_E[order], W_U=a.W_U[:, order])
    assert shuffled["OV"][0, 0, 0, 0].item() == pytest.approx(pearson(dense(a, (0, 0))["OV"], dense(b, (0, 0))["OV"]))
    assert shuffled["OV"][0, 0, 0, 0] < 0.5


def test_matching_finds_the_largest_sum_not_the_largest_first():
    correlation = torch.tensor([[0.9, 0.8], [0.8, 0.1]], dtype=torch.float64).reshape(1, 2, 1, 2)
    assert matched(correlation).reshape(2, 2).tolist() == [[False, True], [True, False]]
    wide = torch.tensor([[0.1, torch.nan, 0.3]], dtype=torch.float64).reshape(1, 1, 3, 1)
    assert matched(wide).flatten().tolist() == [False, False, True]


def test_a_head_of_zeros_has_no_correlation():
    a = network()
    a.W_V[0, 0] = 0
    found = correlations(a, a, vocabulary_space(a, a))
    assert found["OV"][0, 0].isnan().all()
    assert found["V"][:, :, 0, 0].isnan().all()
    assert found["QK"].isfinite().all()


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_kernels_give_the_size_of_the_difference_of_dense_circuits(shift):
    a, b = network(0, shift), network(1, shift)
    found = compared(a, b, vocabulary_space(a, b))
    scales = {"OV": 1.0, "QK": D_HEAD**-0.5}
    for name, scale in scales.items():
        one, other = (scale * dense(each, head)[name] for each, head in ((a, (0, 1)), (b, (1, 0))))
        expected = (other - one).square().mean().sqrt()
        torch.testing.assert_close(found[name].difference[1, 2], expected)
        sizes = sum(each.square().mean().sqrt() for each in (one, other))
        torch.testing.assert_close(found[name].share[1, 2], expected / sizes)


def test_a_model_differs_from_itself_by_nothing_and_from_its_opposite_by_all():
    a = network()
    for each in compared(a, a, vocabulary_space(a, a)).values():
        assert (each.difference.diagonal() == 0).all()
        assert (each.difference.fill_diagonal_(1) > 0).all()
    opposite = replace(a, W_O=-a.W_O)
    share = compared(a, opposite, vocabulary_space(a, opposite))["OV"].share
    torch.testing.assert_close(share.diagonal(), torch.ones(4).double())


def test_one_head_alone_is_compared_as_among_all():
    a, b = network(0), network(1)
    space = vocabulary_space(a, b)
    alone, whole = compared(a, b, space, 2), compared(a, b, space)
    for name in whole:
        torch.testing.assert_close(alone[name].correlation[0], whole[name].correlation[2])
