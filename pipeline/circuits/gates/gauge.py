"""Maps within a head that change its weights and nothing that it computes.

Queries meet keys only in W_Q W_K^T, and values meet outputs only in W_V W_O: an invertible map put between either
two, and undone on the other side, leaves the model as it is. A number that such a map changes says nothing about
the model.
"""

from dataclasses import replace

import torch
from jaxtyping import Float64
from torch import Tensor

from pipeline.circuits.transformer.weights import Weights

STRETCH = 0.7  # largest log of a singular value: conditions stay below 4, and rounding where it was


def regauged(weights: Weights, generator: torch.Generator) -> Weights:
    """Return the same transformer with random maps within each of its heads.

    Rotary positions turn queries and keys pair by pair, so that there only a stretch of each pair is let through.

    Args:
        weights: the transformer, float64.
        generator: decides the maps.
    """
    heads = weights.n_layers, weights.n_heads
    if weights.positions == "rotary":
        inner = torch.diag_embed(_stretches(weights, generator))
    else:
        inner = _maps(heads, weights.d_head, generator)
    outer = _maps(heads, weights.d_head, generator)
    undone = torch.linalg.inv(inner).mT
    sides = {"Q": inner, "K": undone, "V": outer}
    matrices = {f"W_{side}": getattr(weights, f"W_{side}") @ map_ for side, map_ in sides.items()}
    biases = {
        f"b_{side}": (bias[..., None, :] @ map_).squeeze(-2)
        for side, map_ in sides.items()
        if (bias := getattr(weights, f"b_{side}")) is not None
    }
    return replace(weights, **matrices, **biases, W_O=torch.linalg.solve(outer, weights.W_O))


def _maps(heads: tuple[int, int], size: int, generator: torch.Generator) -> Float64[Tensor, "layer head d_head d_head"]:
    """Return an invertible map a head: a rotation, a stretch, another rotation."""
    first, second = torch.randn(2, *heads, size, size, dtype=torch.float64, generator=generator)
    stretch = torch.rand(*heads, 1, size, dtype=torch.float64, generator=generator)
    return torch.linalg.qr(first).Q * (STRETCH * (2 * stretch - 1)).exp() @ torch.linalg.qr(second).Q


def _stretches(weights: Weights, generator: torch.Generator) -> Float64[Tensor, "layer head d_head"]:
    """Return how much each component of a head's queries is stretched: pairs alike."""
    n_pairs = len(weights.parameter("rotary_frequency"))
    drawn = torch.rand(*weights.W_Q.shape[:2], weights.d_head - n_pairs, dtype=torch.float64, generator=generator)
    pairs, others = drawn[..., :n_pairs], drawn[..., n_pairs:]
    both = torch.cat([pairs, pairs], -1) if weights.rotary_pairs == "halves" else pairs.repeat_interleave(2, -1)
    return (STRETCH * (2 * torch.cat([both, others], -1) - 1)).exp()
