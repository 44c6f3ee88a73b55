"""What chance gives for composition: two heads whose directions have nothing to do with each other.

With the matrices of both heads by their singular values, A1 S1 B1^T and A2 S2 B2^T, composition is
||S1 Z S2|| / (||S1|| ||S2||) with Z = B1^T A2 [d_head, d_head] (Q; for K and V, the other singular vectors of the
same matrices). If one of them is turned by a uniform orthogonal d_model x d_model matrix, Z is a corner of such a
matrix, and nothing else changes: every pair of heads needs the same draws of Z, once, and its own singular values.
The mean square is 1 / d_model whatever these are, since that is the mean square of an entry of Z.
"""

import torch
from einops import einsum
from jaxtyping import Float, Float64, Int
from torch import Generator, Tensor

from pipeline.circuits.chance.random_matrices import orthogonal_block, wishart_root

AT_ONCE = 512  # corners held at a time


def singular_values(
    left: Float[Tensor, "... d_model rank"], right: Float[Tensor, "... d_model rank"]
) -> Float64[Tensor, "... rank"]:
    """Return those of left @ right^T, by decreasing size."""
    left, right = (torch.linalg.qr(factor.double(), mode="r").R for factor in (left, right))
    return torch.linalg.svdvals(left @ right.mT)


def squared_corners(d_model: int, d_head: int, draws: int, generator: Generator) -> Float64[Tensor, "draw rank other"]:
    """Draw the squares of Z's entries, which serve every pair of heads of a model.

    Args:
        d_model: width of the residual stream.
        d_head: rank of the heads' matrices.
        draws: how many.
        generator: decides the draws.
    """
    rank = min(d_model, d_head)
    parts = torch.arange(draws).split(AT_ONCE)
    return torch.cat([orthogonal_block(len(part), d_model, rank, generator).square() for part in parts])


def rotations(
    source: Float[Tensor, "source rank"],
    reader: Float[Tensor, "reader rank"],
    squares: Float64[Tensor, "draw rank rank"],
) -> Float64[Tensor, "draw source reader"]:
    """Composition, under each draw of Z, of every pair of heads with the singular values that they have.

    Args:
        source: singular values of W_OV of the heads that write.
        reader: of W_QK (Q and K) or W_OV (V) of the heads that read.
        squares: of `squared_corners`.

    Returns:
        NaN where a matrix is zero.
    """
    source, reader = (values.double() / values.double().norm(dim=-1, keepdim=True) for values in (source, reader))
    axes = "source left, draw left right, reader right -> draw source reader"
    parts = [einsum(source.square(), part, reader.square(), axes).sqrt() for part in squares.split(AT_ONCE)]
    return torch.cat(parts)


def largest_directions(
    ranks: Int[Tensor, " source"],
    reader: Float[Tensor, "reader rank"],
    squares: Float64[Tensor, "draw rank rank"],
) -> Float64[Tensor, "draw source reader"]:
    """`subspaces.largest_direction` under each draw of Z: the largest over as many rows of Z as the source has ranks.

    Args:
        ranks: of the heads that write.
        reader: singular values, as of `rotations`.
        squares: of `squared_corners`.
    """
    shares = reader.double().square() / reader.double().square().sum(-1, keepdim=True)
    axes = "draw left right, reader right -> draw left reader"
    parts = [einsum(part, shares, axes).cummax(1).values[:, ranks - 1] for part in squares.split(AT_ONCE)]
    return torch.cat(parts).sqrt().where(ranks[:, None] > 0, torch.nan)


def kernels(
    source: Int[Tensor, " source"], reader: Int[Tensor, " reader"], squares: Float64[Tensor, "draw rank rank"]
) -> Float64[Tensor, "draw source reader"]:
    """`subspaces.projection_kernel` under each draw of Z, of heads of these ranks."""
    drawn = torch.full((len(squares), len(source), len(reader)), torch.nan, dtype=torch.float64)
    for rank in source[source > 0].unique():
        for other in reader[reader > 0].unique():
            both = (source == rank)[:, None] & (reader == other)
            drawn = torch.where(both, squares[:, :rank, :other].sum((1, 2))[:, None, None], drawn)
    return drawn


def kernel_moments(
    source: Int[Tensor, " source"], reader: Int[Tensor, " reader"], d_model: int
) -> tuple[Float64[Tensor, "source reader"], Float64[Tensor, "source reader"]]:
    """Mean and standard deviation of the same, exactly, of uniform subspaces of these ranks.

    Source: moments of a uniform projection's trace with a fixed one; Collins and Sniady 2006, "Integration with
    respect to the Haar measure on unitary, orthogonal and symplectic group".
    """
    r, s, n = source.double()[:, None], reader.double(), d_model
    variance = 2 * r * s * (n - r) * (n - s) / (n**2 * (n - 1) * (n + 2))
    known = (r > 0) & (s > 0)
    return (r * s / n).where(known, torch.nan), variance.sqrt().where(known, torch.nan)


def gaussians(d_model: int, d_head: int, draws: int, generator: Generator) -> Float64[Tensor, " draw"]:
    """Draw composition of heads with Gaussian factors, which have random singular values too.

    A Gaussian [d_model, d_head] matrix has orthonormal columns, uniform, times a triangle that does not depend on
    them: the four triangles and Z are all that a draw needs.
    """
    roots = wishart_root(4 * draws, d_model, d_head, generator).unflatten(0, (4, draws))
    squares = orthogonal_block(draws, d_model, min(d_model, d_head), generator).square()
    source, reader = (torch.linalg.svdvals(roots[i] @ roots[i + 1].mT).square() for i in (0, 2))
    total = einsum(source, squares, reader, "draw left, draw left right, draw right -> draw")
    return (total / source.sum(-1) / reader.sum(-1)).sqrt()
