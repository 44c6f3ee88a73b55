"""How much a later head reads of what an earlier head writes, from the weights alone."""

from einops import einsum
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights


def composition(weights: Weights, source: int, reader: int) -> dict[str, Tensor]:
    """Q-, K- and V-composition of every head of one layer with every head of a later one.

    With W_OV = W_V W_O of the source and W_QK = W_Q W_K^T, W_OV of the reader: Q is
    ||W_OV W_QK|| / (||W_OV|| ||W_QK||), K the same with W_QK^T, V with the reader's W_OV; Frobenius norms.
    Expected for independent Gaussian factors: 1 / sqrt(d_model).

    Args:
        weights: the transformer.
        source: the earlier layer.
        reader: the later layer.

    Returns:
        Q, K and V: [source head, reader head], float64, in 0 ... 1; NaN where a head's matrix is zero.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; matrices act on row
    vectors here, so the products stand in the reverse order.
    """
    W_V, W_O = weights.W_V[source].double(), weights.W_O[source].double()
    W_Q, W_K = weights.W_Q[reader].double(), weights.W_K[reader].double()
    reads = {
        "Q": (W_Q, W_K),
        "K": (W_K, W_Q),
        "V": (weights.W_V[reader].double(), weights.W_O[reader].double().mT),
    }
    return {kind: _composition(W_V, W_O, inward, outward) for kind, (inward, outward) in reads.items()}


def _composition(W_V: Tensor, W_O: Tensor, inward: Tensor, outward: Tensor) -> Tensor:
    """Return ||W_V W_O inward outward^T|| over both halves' norms; inward and outward [head, d_model, rank]."""
    values, outputs, read, passed = _gram(W_V), _gram(W_O.mT), _gram(inward), _gram(outward)
    between = einsum(W_O, inward, "source rank d_model, reader d_model other -> source reader rank other")
    left = einsum(values, between, "source rank inner, source reader inner other -> source reader rank other")
    right = einsum(between, passed, "source reader rank inner, reader inner other -> source reader rank other")
    scale = einsum(_norm(values, outputs), _norm(read, passed), "source, reader -> source reader")
    return _norm(left, right) / scale


def _gram(factor: Tensor) -> Tensor:
    """Return F^T F [head, rank, rank] of tall factors [head, d_model, rank]."""
    return factor.mT @ factor


def _norm(left: Tensor, right: Tensor) -> Tensor:
    """Return sqrt(sum left * right), a Frobenius norm without forming what it is the norm of.

    ||A M B^T||^2 = tr(A^T A M B^T B M^T): left is A^T A M, right M B^T B; nothing exceeds rank x rank.
    """
    return (left * right).sum((-2, -1)).clamp(min=0).sqrt()
