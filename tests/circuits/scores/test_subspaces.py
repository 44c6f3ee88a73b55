import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

from pipeline.circuits.scores.composition import composition
from pipeline.circuits.scores.subspaces import directions, largest_direction, projection_kernel, spans, squared_cosines
from pipeline.circuits.transformer.weights import Weights

D_MODEL, D_HEAD, HEADS = 12, 3, 2


def random_weights(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)  # noqa: E731
    tall = {name: random(2, HEADS, D_MODEL, D_HEAD) for name in ("W_Q", "W_K", "W_V")}
    return Weights("none", random(5, D_MODEL), random(D_MODEL, 5), W_O=random(2, HEADS, D_HEAD, D_MODEL), **tall)


def sides(weights, through):
    return spans(weights, 0)["O"], spans(weights, 1)[through]


@pytest.mark.parametrize("through", ["Q", "K", "V"])
def test_the_kernel_is_that_of_the_principal_angles_of_what_is_written_and_read(through):
    weights = random_weights()
    found = projection_kernel(*sides(weights, through))
    for source in range(HEADS):
        for reader in range(HEADS):
            reads = getattr(weights, f"W_{through}")[1, reader]
            angles = subspace_angles(weights.W_O[0, source].T.numpy(), reads.numpy())
            assert found[source, reader].item() == pytest.approx((np.cos(angles) ** 2).sum())


@pytest.mark.parametrize("through", ["Q", "K", "V"])
def test_directions_and_the_largest_are_those_of_dense_components(through):
    weights = random_weights()
    found, largest = (measure(*sides(weights, through)) for measure in (directions, largest_direction))
    dense = {"Q": weights.W_Q[1] @ weights.W_K[1].mT, "V": weights.W_V[1] @ weights.W_O[1]}
    dense["K"] = dense["Q"].mT
    for source in range(HEADS):
        U, sizes, Vh = torch.linalg.svd(weights.W_V[0, source] @ weights.W_O[0, source])
        for reader in range(HEADS):
            W = dense[through][reader]
            components = [sizes[i] * torch.outer(U[:, i], Vh[i]) for i in range(D_HEAD)]
            scores = [(one @ W).norm() / one.norm() / W.norm() for one in components]
            torch.testing.assert_close(found[source, reader], torch.stack(scores))
            torch.testing.assert_close(largest[source, reader], max(scores))


@pytest.mark.parametrize("through", ["Q", "K", "V"])
def test_composition_is_the_same_cosines_weighed_by_both_sides(through):
    weights = random_weights()
    written, read = sides(weights, through)
    squares = (squared_cosines(written, read) * written.sizes[:, None, :, None] ** 2 * read.sizes[:, None] ** 2).sum(
        (2, 3)
    )
    expected = squares.sqrt() / written.sizes.norm(dim=1)[:, None] / read.sizes.norm(dim=1)
    torch.testing.assert_close(expected, composition(weights, 0, 1)[through])


def test_equal_spaces_overlap_wholly_and_orthogonal_ones_not_at_all():
    weights, eye = random_weights(dtype=torch.float32), torch.eye(D_MODEL)
    weights.W_O[0, 0] = torch.randn(D_HEAD, D_HEAD) @ eye[:D_HEAD]
    weights.W_Q[1, 0], weights.W_Q[1, 1] = 100 * eye[:, :D_HEAD], eye[:, -D_HEAD:]
    found = projection_kernel(*sides(weights, "Q"))
    assert found[0].tolist() == pytest.approx([D_HEAD, 0], abs=1e-5)


def test_one_planted_channel_of_the_weakest_direction_is_seen():
    """All that the reader reads is what the source's smallest singular direction writes: 1, where its norm is 0.01."""
    weights = random_weights()
    basis = torch.linalg.qr(weights.W_O[0, 0].T).Q
    weights.W_V[0, 0] = torch.linalg.qr(weights.W_V[0, 0]).Q * torch.tensor([1.0, 1.0, 0.01])
    weights.W_O[0, 0] = basis.T
    weights.W_Q[1, 0] = 0
    weights.W_Q[1, 0, :, 0] = basis[:, 2]
    assert largest_direction(*sides(weights, "Q"))[0, 0].item() == pytest.approx(1)
    assert composition(weights, 0, 1)["Q"][0, 0].item() == pytest.approx(0.01 / 2**0.5, rel=1e-3)
    assert projection_kernel(*sides(weights, "Q"))[0, 0].item() == pytest.approx(1)


def test_maps_within_heads_change_nothing():
    weights, turned = random_weights(), random_weights()
    map_ = torch.randn(D_HEAD, D_HEAD, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    turned.W_V[0], turned.W_O[0] = weights.W_V[0] @ map_, torch.linalg.inv(map_) @ weights.W_O[0]
    turned.W_Q[1], turned.W_K[1] = weights.W_Q[1] @ map_, weights.W_K[1] @ torch.linalg.inv(map_).T
    for through in "QKV":
        for score in (projection_kernel, largest_direction):
            torch.testing.assert_close(score(*sides(turned, through)), score(*sides(weights, through)))


def test_a_head_of_zeros_overlaps_with_nothing_that_could_be_said():
    weights = random_weights()
    weights.W_O[0, 0], weights.W_K[1, 1] = 0, 0
    for score in (projection_kernel, largest_direction):
        found = score(*sides(weights, "K"))
        assert found.isnan().tolist() == [[True, True], [False, True]]
