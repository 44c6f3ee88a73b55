"""Random matrices, and the small products of large ones that scores need, drawn without the large ones."""

import torch
from jaxtyping import Float64
from scipy import special
from torch import Generator, Tensor


def gaussian(*shape: int, generator: Generator) -> Float64[Tensor, "..."]:
    """Draw independent standard normal entries."""
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def orthogonal(draws: int, size: int, generator: Generator) -> Float64[Tensor, "draw size size"]:
    """Draw orthogonal matrices, uniformly (by Haar's measure)."""
    return orthonormal(draws, size, size, generator)


def orthonormal(draws: int, n: int, size: int, generator: Generator) -> Float64[Tensor, "draw n size"]:
    """Draw matrices of `size` orthonormal columns of length n, uniformly.

    Source: Mezzadri 2007, "How to generate random matrices from the classical compact groups".
    """
    Q, R = torch.linalg.qr(gaussian(draws, n, size, generator=generator))
    # Without the signs, Q would depend on a convention of the factorisation.
    return Q * R.diagonal(dim1=-2, dim2=-1).sign()[:, None]


def wishart_root(draws: int, degrees: int, size: int, generator: Generator) -> Float64[Tensor, "draw rank size"]:
    """Draw T, of `size` rows at most, such that T^T T is distributed as G^T G, with G [degrees, size] Gaussian.

    T is triangular, with the roots of chi-squares on its diagonal, so that no draw costs more than size x size
    however many degrees; for fewer degrees than columns, it is G itself.

    Source: Bartlett 1933, "On the theory of statistical regression".
    """
    if degrees < size:
        return gaussian(draws, degrees, size, generator=generator)
    above = gaussian(draws, size, size, generator=generator).triu(1)
    # A chi-square variable is its distribution's inverse at a uniform one.
    uniform = torch.rand(draws, size, generator=generator, dtype=torch.float64)
    shapes = torch.arange(degrees, degrees - size, -1, dtype=torch.float64) / 2
    chi_square = 2 * torch.from_numpy(special.gammaincinv(shapes.numpy(), uniform.numpy()))
    return above + torch.diag_embed(chi_square.sqrt())


def orthogonal_block(draws: int, n: int, size: int, generator: Generator) -> Float64[Tensor, "draw size size"]:
    """Draw the upper left corners of uniform orthogonal n x n matrices.

    They are A^T R B for any fixed orthonormal A and B [n, size] and uniform R. The first columns of such a
    matrix are G (G^T G)^(-1/2) up to a turn on the right, with G [n, size] Gaussian, and G T^-1 for the
    triangular T with T^T T = G^T G. Of G, the corner needs the first rows, and of the others the product
    with themselves alone, which `wishart_root` draws.

    Args:
        draws: how many.
        n: width of the large matrix; at least `size`.
        size: of the corner.
        generator: decides the draws.
    """
    first = gaussian(draws, size, size, generator=generator)
    rest = wishart_root(draws, n - size, size, generator)
    T = torch.linalg.cholesky(first.mT @ first + rest.mT @ rest, upper=True)
    return torch.linalg.solve_triangular(T, first, upper=True, left=False)
