import pytest
import torch

from pipeline.circuits.chance.random_matrices import orthogonal, orthogonal_block, orthonormal, wishart_root

DRAWS = 4000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_mean(draws, expected):
    """The draws' mean is the expected one, within five standard errors."""
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - expected).abs() < 5 * error + 1e-12).all()


def test_orthogonal_matrices_are_orthogonal_and_uniform():
    drawn = orthogonal(DRAWS, 5, seeded())
    torch.testing.assert_close(drawn @ drawn.mT, torch.eye(5, dtype=torch.float64).expand_as(drawn))
    # Of a uniform one, entries have mean 0 and mean square 1/n; the trace has mean square 1.
    assert_mean(drawn, 0)
    assert_mean(drawn**2, 1 / 5)
    assert_mean(drawn.diagonal(dim1=-2, dim2=-1).sum(-1) ** 2, 1)


@pytest.mark.parametrize(("degrees", "size"), [(7, 3), (3, 3), (2, 3), (0, 3)])
def test_a_root_squared_has_the_moments_of_a_wishart_matrix(degrees, size):
    root = wishart_root(DRAWS, degrees, size, seeded())
    square = root.mT @ root
    assert square.shape == (DRAWS, size, size)
    # Diagonal entries are chi-squares, of variance 2 n; others have mean 0 and variance n.
    identity = torch.eye(size, dtype=torch.float64)
    assert_mean(square, degrees * identity)
    assert_mean((square - degrees * identity) ** 2, degrees * (1 + identity))
    assert_mean(torch.linalg.det(square), torch.arange(degrees, degrees - size, -1, dtype=torch.float64).prod())


@pytest.mark.parametrize(("n", "size"), [(9, 3), (4, 3), (3, 3)])
def test_a_block_is_distributed_as_the_corner_of_a_whole_matrix(n, size):
    block, whole = orthogonal_block(DRAWS, n, size, seeded()), orthogonal(DRAWS, n, seeded(1))[:, :size, :size]
    assert_mean(block**2, 1 / n)
    assert_mean(block**4, 3 / (n * (n + 2)))
    for statistic in (torch.linalg.matrix_norm, torch.linalg.det, lambda x: torch.linalg.svdvals(x)[:, 0]):
        ours, theirs = statistic(block), statistic(whole)
        for power in (1, 2):
            # A determinant's mean is 0 up to chance; independent samples' means differ by their errors.
            error = ((ours**power).var() + (theirs**power).var()).sqrt() / DRAWS**0.5
            assert ((ours**power).mean() - (theirs**power).mean()).abs() < 5 * error + 1e-9


def test_a_block_as_large_as_the_matrix_is_orthogonal():
    block = orthogonal_block(3, 4, 4, seeded())
    torch.testing.assert_close(block @ block.mT, torch.eye(4, dtype=torch.float64).expand_as(block))


def test_orthonormal_columns_are_uniform():
    drawn = orthonormal(DRAWS, 5, 2, seeded())
    torch.testing.assert_close(drawn.mT @ drawn, torch.eye(2, dtype=torch.float64).expand(DRAWS, 2, 2))
    assert_mean(drawn, 0)
    assert_mean(drawn**2, 1 / 5)
