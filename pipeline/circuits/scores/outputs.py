"""Scores of what heads write: how much of it there is, and what it does to the logits of the tokens attended to."""

import torch
from einops import einsum
from jaxtyping import Float, Float64
from torch import Tensor


def inactivity(
    z: Float[Tensor, "batch head position d_head"], W_O: Float[Tensor, "head d_head d_model"]
) -> Float64[Tensor, "batch head"]:
    """One minus the mean length of what a head writes, over the mean of its layer's heads.

    Args:
        z: attention-weighted values.
        W_O: of the layer.

    Returns:
        1 for a head that writes nothing, 0 for one that writes as much as its layer's mean, below 0 for one that writes
        more; a layer's mean is 0. NaN where the layer writes nothing.

    Source: the average head output norm, by layer, of Sandoval-Segura et al. 2025, "Identifying and Evaluating Inactive
    Heads in Pretrained LLMs", turned so that more is less active.
    """
    z, W_O = z.double(), W_O.double()
    squares = ((z @ (W_O @ W_O.mT)) * z).sum(-1)  # |z W_O|^2, in d_head dimensions
    length = squares.clamp(min=0).sqrt().mean(-1)
    return 1 - length / length.mean(-1, keepdim=True)


def attended_logits(
    z: Float[Tensor, "batch head query d_head"], asked: Float[Tensor, "batch head query d_head"]
) -> Float64[Tensor, "batch head"]:
    """What a head adds to the logits of the tokens it attends to, weighted by attention, mean over queries.

    Args:
        z: attention-weighted values, over the scale of the last norm.
        asked: of `Held.asked` at the tokens attended to, weighted by attention.

    Returns:
        Logits, less their mean over the vocabulary: above 0 for name movers, below for copy suppression.

    Source: after Wang et al. 2022, "Interpretability in the Wild", section 3.1, where attention is held against the
    projection of what is written on the attended name; McDougall et al. 2024, "Copy Suppression".
    """
    return (z.double() * asked.double()).sum(-1).mean(-1)


def turned_logits(
    z: Float[Tensor, "batch head query d_head"], asked: Float[Tensor, "batch head query d_head"]
) -> Float64[Tensor, "head d_head d_head"]:
    """Sum over sentences the matrices whose trace is `attended_logits`, whose arguments these are."""
    product = einsum(asked.double(), z.double(), "batch head query asked, batch head query own -> head asked own")
    return product / asked.shape[2]


def between_halves(
    turned: Float64[Tensor, "*layer head d_head d_head"], W_O: Float[Tensor, "*layer head d_head d_model"]
) -> Float64[Tensor, "*layer head d_head d_head"]:
    """Bring sums of `turned_logits` between the heads' `balanced` halves.

    If W_V W_O = A S B^T becomes A S O B^T, with O orthogonal, the score becomes tr(O M) instead of tr(M).

    Returns:
        M, but for an orthogonal map of both sides alike.
    """
    R = torch.linalg.qr(W_O.double().mT, mode="r").R  # the half that is read by the logits is B, not W_O^T
    return torch.linalg.pinv(R).mT @ turned @ R.mT
