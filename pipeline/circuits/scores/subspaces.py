"""How the directions that a head writes lie to those that a later head reads, whatever weight either gives them.

W_OV of the head that writes is A1 S1 B1^T by its singular values, W_QK or W_OV of the one that reads A2 S2 B2^T. All
there is between them are the cosines B1^T A2 of their directions in the stream (B1^T B2 for keys).
"""

from typing import NamedTuple

import torch
from einops import einsum
from jaxtyping import Float, Float64, Int
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights


class Span(NamedTuple):
    """The directions of one side of a layer's heads, those of the largest singular values first."""

    directions: Float64[Tensor, "head d_model rank"]  # orthonormal
    sizes: Float64[Tensor, "head rank"]  # singular values of the whole matrix
    ranks: Int[Tensor, " head"]  # how many of them its factors have, beyond the rounding of their own precision


def spans(weights: Weights, layer: int) -> dict[str, Span]:
    """Return what a layer's heads write (O) and what their queries, keys and values read (Q, K, V)."""
    read, written = _span(weights.W_V[layer], weights.W_O[layer].mT)
    asked, offered = _span(weights.W_Q[layer], weights.W_K[layer])
    return {"O": written, "Q": asked, "K": offered, "V": read}


def _span(left: Float[Tensor, "head d_model d_head"], right: Float[Tensor, "head d_model d_head"]) -> tuple[Span, Span]:
    """Return both sides of left @ right^T."""
    (basis, small), (other_basis, other_small) = (torch.linalg.qr(factor.double()) for factor in (left, right))
    U, sizes, Vh = torch.linalg.svd(small @ other_small.mT)
    rounding = torch.finfo(left.dtype).eps * max(left.shape[1:])
    ranks = [torch.linalg.matrix_rank(factor, rtol=rounding) for factor in (small, other_small)]
    rank = torch.minimum(*ranks)
    return Span(basis @ U, sizes, rank), Span(other_basis @ Vh.mT, sizes, rank)


def squared_cosines(written: Span, read: Span) -> Float64[Tensor, "source reader left right"]:
    """Return the squares of all cosines of every source's directions with every reader's; 0 beyond their ranks."""
    cosines = einsum(
        written.directions, read.directions, "source d_model left, reader d_model right -> source reader left right"
    )
    left, right = (torch.arange(span.sizes.shape[1]) < span.ranks[:, None] for span in (written, read))
    return cosines.square() * left[:, None, :, None] * right[None, :, None, :]


def projection_kernel(written: Span, read: Span) -> Float64[Tensor, "source reader"]:
    """Sum of squared cosines of the principal angles of what one head can write and what the other can read.

    0 (at right angles) ... the smaller rank (one within the other); NaN where a side is 0. Of uniform subspaces of
    ranks r and s of n dimensions: mean r s / n, variance 2 r s (n - r) (n - s) / (n^2 (n - 1) (n + 2)).

    Source: Yamagiwa et al. 2026, arXiv 2601.10266.
    """
    known = (written.ranks[:, None] > 0) & (read.ranks > 0)
    return squared_cosines(written, read).sum((2, 3)).where(known, torch.nan)


def directions(written: Span, read: Span) -> Float64[Tensor, "source reader left"]:
    """Composition of each singular direction of what one head writes with the whole of the other.

    For W_OV = sum of s_i a_i b_i^T, direction i has the composition ||b_i^T W|| / ||W||, 0 ... 1, whatever its s_i; of
    a uniform direction its mean square is 1 / d_model. 0 beyond the source's rank, NaN where the reader is 0.

    Source: Merullo et al. 2024, "Talking Heads", arXiv 2406.09519.
    """
    shares = read.sizes.square() / read.sizes.square().sum(1, keepdim=True)
    by_direction = einsum(
        squared_cosines(written, read), shares, "source reader left right, reader right -> source reader left"
    )
    return by_direction.sqrt()


def largest_direction(written: Span, read: Span) -> Float64[Tensor, "source reader"]:
    """The largest of `directions`; NaN where a side is 0."""
    return directions(written, read).amax(2).where(written.ranks[:, None] > 0, torch.nan)
