import pytest
import torch

from pipeline.circuits.chance import null_composition
from pipeline.circuits.chance.random_matrices import orthogonal
from pipeline.circuits.scores.composition import composition
from pipeline.circuits.transformer.weights import Weights

D_MODEL, D_HEAD, DRAWS = 7, 3, 4000


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def dense(first, second):
    norm = torch.linalg.matrix_norm
    return norm(first @ second) / norm(first) / norm(second)


def rotations(source, reader, draws=DRAWS):
    squares = null_composition.squared_corners(D_MODEL, source.shape[-1], draws, seeded())
    return null_composition.rotations(source, reader, squares)


def assert_same_distribution(ours, theirs):
    for power in (1, 2, 4):
        error = (2 * (theirs**power).var() / DRAWS).sqrt()
        assert ((ours**power).mean() - (theirs**power).mean()).abs() < 5 * error


def test_singular_values_are_those_of_the_product():
    left, right = random(2, D_MODEL, D_HEAD), random(2, D_MODEL, D_HEAD, seed=1)
    expected = torch.linalg.svdvals(left @ right.mT)[:, :D_HEAD]
    torch.testing.assert_close(null_composition.singular_values(left, right), expected)


def test_rotations_are_those_of_dense_heads_turned_against_each_other():
    heads = random(2, D_MODEL, D_HEAD) @ random(2, D_HEAD, D_MODEL, seed=1)
    readers = random(3, D_MODEL, D_HEAD, seed=2) @ random(3, D_HEAD, D_MODEL, seed=3)
    values = [torch.linalg.svdvals(matrices)[:, :D_HEAD] for matrices in (heads, readers)]
    ours = rotations(*values)
    assert ours.shape == (DRAWS, 2, 3)
    turned = heads[1] @ orthogonal(DRAWS, D_MODEL, seeded(1))
    assert_same_distribution(ours[:, 1, 2], dense(turned, readers[2]))


@pytest.mark.parametrize("d_head", [D_HEAD, D_MODEL, D_MODEL + 2])
def test_gaussians_are_those_of_dense_heads(d_head):
    heads = [random(DRAWS, D_MODEL, d_head, seed=i) @ random(DRAWS, d_head, D_MODEL, seed=i + 10) for i in (0, 1)]
    assert_same_distribution(null_composition.gaussians(D_MODEL, d_head, DRAWS, seeded()), dense(*heads))


def test_mean_square_is_one_over_d_model_whatever_the_singular_values():
    values = torch.tensor([[5.0, 0.1, 0.0], [1.0, 1.0, 1.0]])
    squares = rotations(values, values).square()
    assert ((squares.mean(0) - 1 / D_MODEL).abs() < 5 * squares.std(0) / DRAWS**0.5).all()


def test_a_reader_of_all_that_is_written_is_beyond_its_rotations():
    # Both heads project on the same three directions: 1/sqrt(d_head).
    basis = torch.linalg.qr(random(D_MODEL, D_HEAD)).Q
    both = basis.expand(2, 1, D_MODEL, D_HEAD)
    embedding = torch.eye(D_MODEL)
    value = composition(Weights("none", embedding, embedding, both, both, both, both.mT), 0, 1)["K"]
    torch.testing.assert_close(value, torch.full((1, 1), D_HEAD**-0.5, dtype=torch.float64))
    ones = torch.ones(1, D_HEAD)
    assert (rotations(ones, ones, 500) < value - 1e-3).all()


def test_a_head_of_zeros_has_no_chance():
    zero, one = torch.zeros(1, D_HEAD), torch.ones(1, D_HEAD)
    assert rotations(zero, one, 4).isnan().all()


@pytest.mark.parametrize("ranks", [(3, 3), (2, 3), (3, 1)])
def test_overlaps_of_turned_heads_are_those_of_dense_heads_and_have_the_moments_that_are_known(ranks):
    squares = null_composition.squared_corners(D_MODEL, D_HEAD, DRAWS, seeded())
    source, reader = (torch.tensor([rank]) for rank in ranks)
    ours = null_composition.kernels(source, reader, squares)[:, 0, 0]
    mean, sd = (moment.item() for moment in null_composition.kernel_moments(source, reader, D_MODEL))
    assert abs(ours.mean().item() - mean) < 5 * sd / DRAWS**0.5
    assert ours.std().item() == pytest.approx(sd, rel=5 / DRAWS**0.5)
    A, B = (torch.linalg.qr(random(D_MODEL, rank, seed=rank)).Q for rank in ranks)
    theirs = (A.mT @ orthogonal(DRAWS, D_MODEL, seeded(1)) @ B).square().sum((1, 2))
    assert_same_distribution(ours, theirs)


def test_the_largest_direction_of_turned_heads_is_that_of_dense_heads():
    sizes = torch.tensor([[3.0, 1.0, 0.5]])
    squares = null_composition.squared_corners(D_MODEL, D_HEAD, DRAWS, seeded())
    ours = null_composition.largest_directions(torch.tensor([3, 2]), sizes, squares)
    written, read = (torch.linalg.qr(random(D_MODEL, D_HEAD, seed=seed)).Q for seed in (3, 4))
    turned = written.mT @ orthogonal(DRAWS, D_MODEL, seeded(1)) @ read * sizes
    theirs = turned.norm(dim=2) / sizes.norm()
    assert_same_distribution(ours[:, 0, 0], theirs.amax(1))
    assert_same_distribution(ours[:, 1, 0], theirs[:, :2].amax(1))


def test_a_head_without_a_direction_has_no_chance_of_overlap():
    squares, none = null_composition.squared_corners(D_MODEL, D_HEAD, 4, seeded()), torch.tensor([0, 3])
    assert null_composition.kernels(none, none, squares).isnan()[0].tolist() == [[True, True], [True, False]]
    assert null_composition.kernel_moments(none, none, D_MODEL)[1].isnan().tolist() == [[True, True], [True, False]]
    drawn = null_composition.largest_directions(none, torch.ones(1, D_HEAD), squares)
    assert drawn.isnan()[0].tolist() == [[True], [False]]
