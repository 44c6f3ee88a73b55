"""Which head of one trained model is which head of another? Correlations in the vocabulary they share.

Two models' residual streams have no common directions, but their tokens are the same. A vector x of one
model answers to each token of the vocabulary, E x; so does a vector of the other; the two answers can be
correlated. Only d_model x d_model kernels of the embeddings are needed. The raw space, where the streams'
own components stand in place of tokens, is the baseline.

Source: Dar et al. 2022, "Analyzing Transformers in Embedding Space".
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Float64, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights

# Two models' heads by each other: a's layers and heads, then b's.
HeadByHead = Float64[Tensor, "layer_a head_a layer_b head_b"]


@dataclass(frozen=True)
class Kernel:
    """Second moments of two models' embeddings over the tokens, and their means."""

    across: Float64[Tensor, "d_model_a d_model_b"]  # E_a^T E_b / d_vocab
    of_a: Float64[Tensor, "d_model_a d_model_a"]  # E_a^T E_a / d_vocab
    of_b: Float64[Tensor, "d_model_b d_model_b"]
    mean_a: Float64[Tensor, " d_model_a"]  # mean row of E_a
    mean_b: Float64[Tensor, " d_model_b"]

    def own(self, which: str) -> "Kernel":
        """The same for one model (a or b) against itself."""
        moment, mean = getattr(self, f"of_{which}"), getattr(self, f"mean_{which}")
        return Kernel(moment, moment, moment, mean, mean)


@dataclass(frozen=True)
class Space:
    """Where two models are compared: what reads the stream by one kernel, what writes to it by another."""

    read: Kernel
    write: Kernel


def kernel(rows_a: Float[Tensor, "d_vocab d_model_a"], rows_b: Float[Tensor, "d_vocab d_model_b"]) -> Kernel:
    """Kernel of two embeddings whose rows are the same tokens."""
    a, b, n = rows_a.double(), rows_b.double(), len(rows_a)
    return Kernel(a.T @ b / n, a.T @ a / n, b.T @ b / n, a.mean(0), b.mean(0))


def vocabulary_space(a: Weights, b: Weights, order: Int[Tensor, " d_vocab"] | None = None) -> Space:
    """Compare by tokens: by W_E what is read, by W_U what is written.

    Args:
        a: one model, its gains folded in.
        b: the other, of the same vocabulary.
        order: which token of b to take for each token of a, for chance; the same if None.
    """
    tokens = slice(None) if order is None else order
    return Space(kernel(a.W_E, b.W_E[tokens]), kernel(a.W_U.T, b.W_U.T[tokens]))


def raw_space(d_model: int, order: Int[Tensor, " d_model"] | None = None) -> Space:
    """Compare by the stream's own components; `order` as in `vocabulary_space`."""
    identity = torch.eye(d_model, dtype=torch.float64)
    same = kernel(identity, identity if order is None else identity[order])
    return Space(same, same)


def correlations(a: Weights, b: Weights, space: Space) -> dict[str, HeadByHead]:
    """Correlate every head of one model with every head of the other.

    Returns:
        By matrix. OV, QK: correlation of all entries
        of both heads' circuits, -1 ... 1. V, O: mean size of the correlation of each dimension of one
        head's W_V (rows of W_O) with each of the other's, 0 ... 1; depends on the basis of a head's values,
        which training fixes by nothing. NaN for a head of zeros.
    """
    of_a, of_b = _matrices(a), _matrices(b)
    by_matrix = {
        "OV": circuit_correlations(
            Circuits(of_a["W_V"], of_a["W_O"]), Circuits(of_b["W_V"], of_b["W_O"]), space.read, space.write
        ),
        "QK": circuit_correlations(
            Circuits(of_a["W_Q"], of_a["W_K"]), Circuits(of_b["W_Q"], of_b["W_K"]), space.read, space.read
        ),
        "V": vector_correlations(of_a["W_V"], of_b["W_V"], space.read),
        "O": vector_correlations(of_a["W_O"], of_b["W_O"], space.write),
    }
    axes = "(layer_a head_a) (layer_b head_b) -> layer_a head_a layer_b head_b"
    return {name: rearrange(value, axes, head_a=a.n_heads, head_b=b.n_heads) for name, value in by_matrix.items()}


def _matrices(weights: Weights) -> dict[str, Float64[Tensor, "head d_model d_head"]]:
    """Return every head's matrices by name, all as tall ones."""
    columns = "layer head d_model d_head -> (layer head) d_model d_head"
    rows = "layer head d_head d_model -> (layer head) d_model d_head"
    tall = {name: rearrange(getattr(weights, name), columns).double() for name in ("W_Q", "W_K", "W_V")}
    return tall | {"W_O": rearrange(weights.W_O, rows).double()}


class Circuits(NamedTuple):
    """The circuits A B^T of one model's heads; from token to token they are E A (F B)^T."""

    A: Float64[Tensor, "head d_model d_head"]
    B: Float64[Tensor, "head d_model d_head"]


def circuit_correlations(a: Circuits, b: Circuits, E: Kernel, F: Kernel) -> Float64[Tensor, "head_a head_b"]:
    """Correlation of the entries of E A (F B)^T of every head of a with those of every head of b.

    Args:
        a: of one model.
        b: of the other.
        E: kernel of the embeddings that A is read by.
        F: of those that B is read by.
    """
    mean_a = ((E.mean_a @ a.A) * (F.mean_a @ a.B)).sum(-1)
    mean_b = ((E.mean_b @ b.A) * (F.mean_b @ b.B)).sum(-1)
    variance_a = _mean_products(a, a, E.own("a"), F.own("a")).diagonal() - mean_a**2
    variance_b = _mean_products(b, b, E.own("b"), F.own("b")).diagonal() - mean_b**2
    covariance = _mean_products(a, b, E, F) - mean_a[:, None] * mean_b
    # Clamped, because rounding may pass 1 by a little.
    return (covariance / (variance_a[:, None] * variance_b).sqrt()).clamp(-1, 1)


def _mean_products(a: Circuits, b: Circuits, E: Kernel, F: Kernel) -> Float64[Tensor, "head_a head_b"]:
    """Mean over entries of the product of two heads' circuits, for every head of a with every head of b."""
    axes = "x left, x y, head_b y right -> head_b left right"
    rows = []
    for A, B in zip(a.A, a.B, strict=True):
        products = einsum(A, E.across, b.A, axes) * einsum(B, F.across, b.B, axes)
        rows.append(products.sum((1, 2)))
    return torch.stack(rows)


def vector_correlations(
    a: Float64[Tensor, "head_a d_model_a left"], b: Float64[Tensor, "head_b d_model_b right"], E: Kernel
) -> Float64[Tensor, "head_a head_b"]:
    """Mean size of the correlation of E_a x and E_b y, over vectors x of a head of a and y of one of b.

    Args:
        a: each head's vectors.
        b: of the other model.
        E: kernel of the two embeddings.
    """
    deviation_a, deviation_b = _deviations(a, E.of_a, E.mean_a), _deviations(b, E.of_b, E.mean_b)
    rows = []
    for vectors, deviation in zip(a, deviation_a, strict=True):
        means = einsum(E.mean_a @ vectors, E.mean_b @ b, "left, head_b right -> head_b left right")
        covariance = einsum(vectors, E.across, b, "x left, x y, head_b y right -> head_b left right") - means
        correlation = covariance / deviation[:, None] / deviation_b[:, None]
        rows.append(correlation.abs().mean((1, 2)).clamp(max=1))
    return torch.stack(rows)


def _deviations(
    vectors: Float64[Tensor, "head d_model vector"],
    moment: Float64[Tensor, "d_model d_model"],
    mean: Float64[Tensor, " d_model"],
) -> Float64[Tensor, "head vector"]:
    """Standard deviation over tokens of the answer to each vector."""
    squares = einsum(vectors, moment, vectors, "head x vector, x y, head y vector -> head vector")
    return (squares - (mean @ vectors) ** 2).sqrt()


def matched(correlation: HeadByHead) -> Bool[Tensor, "layer_a head_a layer_b head_b"]:
    """Pair the heads of two models so that the sum of correlations is largest.

    Args:
        correlation: an undefined one counts as 0.

    Returns:
        Whether two heads are a pair. Every head of the smaller model is in one.
    """
    flat = rearrange(correlation.nan_to_num(0), "layer_a head_a layer_b head_b -> (layer_a head_a) (layer_b head_b)")
    pairs = torch.zeros_like(flat, dtype=torch.bool)
    pairs[linear_sum_assignment(flat.numpy(), maximize=True)] = True
    axes = "(layer_a head_a) (layer_b head_b) -> layer_a head_a layer_b head_b"
    return rearrange(pairs, axes, head_a=correlation.shape[1], head_b=correlation.shape[3])
