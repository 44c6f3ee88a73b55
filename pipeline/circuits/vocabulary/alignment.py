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
    of_a, of_b = circuits_of(a)["OV"], circuits_of(b)["OV"]
    vectors = {
        "V": vector_correlations(of_a.A, of_b.A, space.read),
        "O": vector_correlations(of_a.B, of_b.B, space.write),
    }
    by_matrix = {name: both.correlation for name, both in compared(a, b, space).items()} | vectors
    return {name: by_head(value, a.n_heads, b.n_heads) for name, value in by_matrix.items()}


def by_head(value: Float64[Tensor, "all_a all_b"], heads_a: int, heads_b: int) -> HeadByHead:
    """Tell layers apart, of so many heads each."""
    axes = "(layer_a head_a) (layer_b head_b) -> layer_a head_a layer_b head_b"
    return rearrange(value, axes, head_a=heads_a, head_b=heads_b)


class Circuits(NamedTuple):
    """The circuits A B^T of one model's heads; from token to token they are E A (F B)^T."""

    A: Float64[Tensor, "head d_model d_head"]
    B: Float64[Tensor, "head d_model d_head"]

    def of(self, head: int) -> "Circuits":
        """Return those of one head alone."""
        return Circuits(self.A[head, None], self.B[head, None])


def circuits_of(weights: Weights) -> dict[str, Circuits]:
    """Return every head's circuits, layer by layer: OV in logits, QK in scores."""
    columns = "layer head d_model d_head -> (layer head) d_model d_head"
    rows = "layer head d_head d_model -> (layer head) d_model d_head"
    W_Q, W_K, W_V = (rearrange(matrix, columns).double() for matrix in (weights.W_Q, weights.W_K, weights.W_V))
    W_O = rearrange(weights.W_O, rows).double()
    return {"OV": Circuits(W_V, W_O), "QK": Circuits(W_Q / weights.d_head**0.5, W_K)}


@dataclass(frozen=True)
class Compared:
    """Moments of the entries of two models' circuits over all pairs of tokens."""

    mean_a: Float64[Tensor, " head_a"]
    mean_b: Float64[Tensor, " head_b"]
    square_a: Float64[Tensor, " head_a"]  # mean squares
    square_b: Float64[Tensor, " head_b"]
    product: Float64[Tensor, "head_a head_b"]

    @property
    def correlation(self) -> Float64[Tensor, "head_a head_b"]:
        """Of all entries, -1 ... 1; NaN for a head of zeros."""
        variance_a, variance_b = self.square_a - self.mean_a**2, self.square_b - self.mean_b**2
        covariance = self.product - self.mean_a[:, None] * self.mean_b
        # Clamped, because rounding may pass 1 by a little.
        return (covariance / (variance_a[:, None] * variance_b).sqrt()).clamp(-1, 1)

    @property
    def difference(self) -> Float64[Tensor, "head_a head_b"]:
        """Root mean square of the entries' differences: the norm of the circuits' difference over d_vocab.

        What is below 1e-7 of the circuits' own sizes is 0: rounding leaves less.
        """
        both = self.square_a[:, None] + self.square_b
        square = both - 2 * self.product
        return torch.where(square > 1e-14 * both, square, 0.0).sqrt()

    @property
    def share(self) -> Float64[Tensor, "head_a head_b"]:
        """The difference over the sum of both sizes: 0 equal, 1 opposite or one of them 0; NaN if both are 0."""
        return self.difference / (self.square_a.sqrt()[:, None] + self.square_b.sqrt())


def compared(a: Weights, b: Weights, space: Space, head: int | None = None) -> dict[str, Compared]:
    """Compare OV and QK circuits of every head of one model with those of every head of the other.

    Args:
        a: one model.
        b: the other.
        space: where.
        head: of all heads of `a`, counted through its layers, this one alone; all if None.
    """
    kernels = {"OV": (space.read, space.write), "QK": (space.read, space.read)}
    of_a, of_b = circuits_of(a), circuits_of(b)
    return {
        name: compared_circuits(of_a[name] if head is None else of_a[name].of(head), of_b[name], *both)
        for name, both in kernels.items()
    }


def compared_circuits(a: Circuits, b: Circuits, E: Kernel, F: Kernel) -> Compared:
    """Compare E A (F B)^T of every head of a with those of every head of b.

    Args:
        a: of one model.
        b: of the other.
        E: kernel of the embeddings that A is read by.
        F: of those that B is read by.
    """
    return Compared(
        mean_a=((E.mean_a @ a.A) * (F.mean_a @ a.B)).sum(-1),
        mean_b=((E.mean_b @ b.A) * (F.mean_b @ b.B)).sum(-1),
        square_a=_mean_squares(a, E.of_a, F.of_a),
        square_b=_mean_squares(b, E.of_b, F.of_b),
        product=torch.stack([_mean_products(A, B, b, E, F) for A, B in zip(a.A, a.B, strict=True)]),
    )


def _mean_squares(
    circuits: Circuits, E: Float64[Tensor, "d_model d_model"], F: Float64[Tensor, "d_model d_model"]
) -> Float64[Tensor, " head"]:
    """Mean over entries of each circuit's square."""
    return ((circuits.A.mT @ (E @ circuits.A)) * (circuits.B.mT @ (F @ circuits.B))).sum((1, 2))


def _mean_products(
    A: Float64[Tensor, "d_model d_head"], B: Float64[Tensor, "d_model d_head"], b: Circuits, E: Kernel, F: Kernel
) -> Float64[Tensor, " head_b"]:
    """Mean over entries of the product of one head's circuit with each of b's."""
    return (((A.T @ E.across) @ b.A) * ((B.T @ F.across) @ b.B)).sum((1, 2))


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
