"""How much a later head reads of what an earlier head writes, from the weights alone."""

from einops import einsum
from jaxtyping import Float, Float64
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights


def composition(
    weights: Weights, source: int, reader: int, sources: slice = slice(None), readers: slice = slice(None)
) -> dict[str, Float64[Tensor, "source reader"]]:
    """Q-, K- and V-composition of heads of one layer with heads of a later one.

    With W_OV = W_V W_O of the source and W_QK = W_Q W_K^T, W_OV of the reader: Q is
    ||W_OV W_QK|| / (||W_OV|| ||W_QK||), K the same with W_QK^T, V with the reader's W_OV; Frobenius norms.
    Expected for independent Gaussian factors: 1 / sqrt(d_model).

    Args:
        weights: the transformer.
        source: the earlier layer.
        reader: the later layer.
        sources: heads of the earlier layer; all if not given.
        readers: heads of the later layer; all if not given.

    Returns:
        Q, K and V: in 0 ... 1; NaN where a head's matrix is zero.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; matrices act on row
    vectors here, so the products stand in the reverse order.
    """
    W_V, W_O = weights.W_V[source, sources].double(), weights.W_O[source, sources].double()
    W_Q, W_K = weights.W_Q[reader, readers].double(), weights.W_K[reader, readers].double()
    values, written = _gram(W_V), _gram(W_O.mT)
    reads = {"Q": (W_Q, W_K), "V": (weights.W_V[reader, readers].double(), weights.W_O[reader, readers].double().mT)}
    grams = {through: [_gram(half) for half in halves] for through, halves in reads.items()}
    reads["K"], grams["K"] = (W_K, W_Q), grams["Q"][::-1]
    return {through: _composition(values, written, W_O, reads[through][0], *grams[through]) for through in "QKV"}


def _composition(
    values: Float[Tensor, "source rank rank"],
    written: Float[Tensor, "source rank rank"],
    W_O: Float[Tensor, "source rank d_model"],
    inward: Float[Tensor, "reader d_model inner"],
    read: Float[Tensor, "reader inner inner"],
    passed: Float[Tensor, "reader inner inner"],
) -> Float[Tensor, "source reader"]:
    """Return ||W_V W_O inward outward^T|| over both halves' norms; the other arguments are the factors' grams."""
    between = einsum(W_O, inward, "source rank d_model, reader d_model inner -> source reader rank inner")
    left = einsum(values, between, "source rank middle, source reader middle inner -> source reader rank inner")
    right = einsum(between, passed, "source reader rank middle, reader middle inner -> source reader rank inner")
    scale = einsum(_norm(values, written), _norm(read, passed), "source, reader -> source reader")
    return _norm(left, right) / scale


def _gram(factor: Float[Tensor, "head d_model rank"]) -> Float[Tensor, "head rank rank"]:
    """Return F^T F of tall factors."""
    return factor.mT @ factor


def _norm(
    left: Float[Tensor, "*heads rows columns"], right: Float[Tensor, "*heads rows columns"]
) -> Float[Tensor, "*heads"]:
    """Return sqrt(sum left * right), a Frobenius norm without forming what it is the norm of.

    ||A M B^T||^2 = tr(A^T A M B^T B M^T): left is A^T A M, right M B^T B; nothing exceeds rank x rank.
    """
    return (left * right).sum((-2, -1)).clamp(min=0).sqrt()
