"""Which head of one trained model is which head of another? Correlations in the vocabulary they share.

Two models' residual streams have no common directions, but their tokens are the same. A vector x of one
model answers to each token of the vocabulary, E x; so does a vector of the other; the two answers can be
correlated. Only d_model x d_model kernels of the embeddings are needed. The raw space, where the streams'
own components stand in place of tokens, is the baseline.

Source: Dar et al. 2022, "Analyzing Transformers in Embedding Space".
"""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights


@dataclass(frozen=True)
class Kernel:
    """Second moments of two models' embeddings over the tokens, and their means; float64."""

    across: Tensor  # [d_model, d_model], E_a^T E_b / d_vocab
    of_a: Tensor  # [d_model, d_model], E_a^T E_a / d_vocab
    of_b: Tensor
    mean_a: Tensor  # [d_model], mean row of E_a
    mean_b: Tensor

    def own(self, which: str) -> "Kernel":
        """The same for one model (a or b) against itself."""
        moment, mean = getattr(self, f"of_{which}"), getattr(self, f"mean_{which}")
        return Kernel(moment, moment, moment, mean, mean)


@dataclass(frozen=True)
class Space:
    """Where two models are compared: what reads the stream by one kernel, what writes to it by another."""

    read: Kernel
    write: Kernel


def kernel(rows_a: Tensor, rows_b: Tensor) -> Kernel:
    """Kernel of two embeddings [d_vocab, d_model] whose rows are the same tokens."""
    a, b, n = rows_a.double(), rows_b.double(), len(rows_a)
    return Kernel(a.T @ b / n, a.T @ a / n, b.T @ b / n, a.mean(0), b.mean(0))


def vocabulary_space(a: Weights, b: Weights, order: Tensor | None = None) -> Space:
    """Compare by tokens: by W_E what is read, by W_U what is written.

    Args:
        a: one model, its gains folded in.
        b: the other, of the same vocabulary.
        order: [d_vocab], which token of b to take for each token of a, for chance; the same if None.
    """
    order = slice(None) if order is None else order
    return Space(kernel(a.W_E, b.W_E[order]), kernel(a.W_U.T, b.W_U.T[order]))


def raw_space(d_model: int, order: Tensor | None = None) -> Space:
    """Compare by the stream's own components; `order` [d_model] as in `vocabulary_space`."""
    identity = torch.eye(d_model, dtype=torch.float64)
    same = kernel(identity, identity if order is None else identity[order])
    return Space(same, same)


def correlations(a: Weights, b: Weights, space: Space) -> dict[str, Tensor]:
    """Correlate every head of one model with every head of the other.

    Returns:
        By matrix, [layer, head, layer, head] float64, heads of a first. OV, QK: correlation of all entries
        of both heads' circuits, -1 ... 1. V, O: mean size of the correlation of each dimension of one
        head's W_V (rows of W_O) with each of the other's, 0 ... 1; depends on the basis of a head's values,
        which training fixes by nothing. NaN for a head of zeros.
    """
    columns = "layer head d_model d_head -> (layer head) d_model d_head"
    rows = "layer head d_head d_model -> (layer head) d_model d_head"
    sides = {}
    for which, weights in (("a", a), ("b", b)):
        tall = {name: rearrange(getattr(weights, name), columns).double() for name in ("W_Q", "W_K", "W_V")}
        sides[which] = tall | {"W_O": rearrange(weights.W_O, rows).double()}
    found = {
        "OV": of_circuits(sides["a"], sides["b"], ("W_V", "W_O"), (space.read, space.write)),
        "QK": of_circuits(sides["a"], sides["b"], ("W_Q", "W_K"), (space.read, space.read)),
        "V": of_vectors(sides["a"]["W_V"], sides["b"]["W_V"], space.read),
        "O": of_vectors(sides["a"]["W_O"], sides["b"]["W_O"], space.write),
    }
    axes = "(layer_a head_a) (layer_b head_b) -> layer_a head_a layer_b head_b"
    return {name: rearrange(value, axes, head_a=a.n_heads, head_b=b.n_heads) for name, value in found.items()}


def of_circuits(a: dict, b: dict, names: tuple[str, str], kernels: tuple[Kernel, Kernel]) -> Tensor:
    """Correlation of the entries of E A (F B)^T of every head of a with those of every head of b, [a, b].

    Args:
        a: of one model, by name, [head, d_model, d_head].
        b: of the other.
        names: of A and B.
        kernels: of E and F.
    """

    def mean_product(one: dict, other: dict, left: Kernel, right: Kernel) -> Tensor:
        axes = "x left, x y, other y right -> other left right"
        rows = []
        for A, B in zip(one[names[0]], one[names[1]], strict=True):
            products = einsum(A, left.across, other[names[0]], axes) * einsum(B, right.across, other[names[1]], axes)
            rows.append(products.sum((1, 2)))
        return torch.stack(rows)

    def means(one: dict, which: str) -> Tensor:
        sides = [getattr(k, f"mean_{which}") @ one[name] for name, k in zip(names, kernels, strict=True)]
        return (sides[0] * sides[1]).sum(-1)

    def variance(one: dict, which: str) -> Tensor:
        return mean_product(one, one, *(k.own(which) for k in kernels)).diagonal() - means(one, which) ** 2

    covariance = mean_product(a, b, *kernels) - means(a, "a")[:, None] * means(b, "b")
    # Clamped, because rounding may pass 1 by a little.
    return (covariance / (variance(a, "a")[:, None] * variance(b, "b")).sqrt()).clamp(-1, 1)


def of_vectors(a: Tensor, b: Tensor, k: Kernel) -> Tensor:
    """Mean size of the correlation of E x and E' y, over vectors x of a head of a and y of one of b, [a, b].

    Args:
        a: [head, d_model, vector].
        b: [head, d_model, vector].
        k: kernel of E and E'.
    """
    deviations = []
    for vectors, moment, mean in ((a, k.of_a, k.mean_a), (b, k.of_b, k.mean_b)):
        squares = einsum(vectors, moment, vectors, "head x vector, x y, head y vector -> head vector")
        deviations.append((squares - (mean @ vectors) ** 2).sqrt())
    axes = "x left, x y, other y right -> other left right"
    rows = []
    for vectors, deviation in zip(a, deviations[0], strict=True):
        means = einsum(k.mean_a @ vectors, k.mean_b @ b, "left, other right -> other left right")
        covariance = einsum(vectors, k.across, b, axes) - means
        rows.append((covariance / deviation[:, None] / deviations[1][:, None]).abs().mean((1, 2)).clamp(max=1))
    return torch.stack(rows)


def matched(correlation: Tensor) -> Tensor:
    """Pair the heads of two models so that the sum of correlations is largest.

    Args:
        correlation: [layer, head, layer, head]; an undefined one counts as 0.

    Returns:
        The same axes, bool: whether two heads are a pair. Every head of the smaller model is in one.
    """
    flat = rearrange(correlation.nan_to_num(0), "layer_a head_a layer_b head_b -> (layer_a head_a) (layer_b head_b)")
    pairs = torch.zeros_like(flat, dtype=torch.bool)
    pairs[linear_sum_assignment(flat.numpy(), maximize=True)] = True
    axes = "(layer_a head_a) (layer_b head_b) -> layer_a head_a layer_b head_b"
    return rearrange(pairs, axes, head_a=correlation.shape[1], head_b=correlation.shape[3])
