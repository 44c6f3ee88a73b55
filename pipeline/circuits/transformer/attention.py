"""From queries and keys to an attention pattern; the networks and their analysis share these functions."""

import torch
from einops import einsum, rearrange, repeat
from jaxtyping import Bool, Float, Float64
from torch import Tensor


def scores(
    query: Float[Tensor, "... query d_head"], key: Float[Tensor, "... key d_head"]
) -> Float[Tensor, "... query key"]:
    """How well each query matches each key, future keys included: q k^T / sqrt(d_head).

    Source: Vaswani et al. 2017, section 3.2.1.
    """
    query = query * query.shape[-1] ** -0.5  # the smaller of the tensors that could be scaled
    return einsum(query, key, "... query d_head, ... key d_head -> ... query key")


def causal_mask(n: int, device: torch.device | None = None) -> Bool[Tensor, "query key"]:
    """Return where a query of a sequence of n positions may look: key <= query."""
    return torch.ones(n, n, dtype=torch.bool, device=device).tril()


def capped(x: Float[Tensor, "..."], cap: float | None) -> Float[Tensor, "..."]:
    """Return cap * tanh(x / cap), nearly x where that is small beside the cap; x without one.

    Source: Gemma Team 2024, "Gemma 2", section 2 (logit soft-capping).
    """
    return x if cap is None else cap * (x / cap).tanh()


def pattern(scores: Float[Tensor, "... query key"], attends: str = "back") -> Float[Tensor, "... query key"]:
    """Softmax of scores over the keys a query may see.

    Args:
        scores: as many keys as queries, `capped` where the model caps them.
        attends: "back", keys up to the query; "both_ways", all keys.

    Returns:
        Probabilities: each row sums to 1 over the keys it may see, and is 0 beyond.
    """
    if attends == "both_ways":
        return scores.softmax(-1)
    visible = causal_mask(scores.shape[-1], scores.device)
    return scores.masked_fill(~visible, -torch.inf).softmax(-1)


def rotate(
    x: Float[Tensor, "... position d_head"], frequency: Float[Tensor, " pair"], pairs: str
) -> Float[Tensor, "... position d_head"]:
    """Turn pairs of components by an angle that grows with the position, so that scores depend on distance.

    Linear in x: the rotation of a sum is the sum of rotations.

    Args:
        x: queries or keys.
        frequency: radians a position; the first 2 * pair components are turned, the others stay.
        pairs: "halves", component i goes with i + pair; "neighbours", 2 i with 2 i + 1.

    Source: Su et al. 2021, "RoFormer".
    """
    axes = {"halves": "... (half pair) -> half ... pair", "neighbours": "... (pair half) -> half ... pair"}[pairs]
    turned = 2 * len(frequency)
    first, second = rearrange(x[..., :turned], axes, half=2)
    angle = torch.arange(x.shape[-2], device=x.device, dtype=frequency.dtype)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    moved = torch.stack([first * cos - second * sin, second * cos + first * sin])
    inward, outward = axes.split(" -> ")
    return torch.cat([rearrange(moved, f"{outward} -> {inward}"), x[..., turned:]], -1)


def turns(
    frequency: Float[Tensor, " pair"], pairs: str, d_head: int, distances: int
) -> Float64[Tensor, "distance d_head d_head"]:
    """Return the matrices R that make q R(distance) k^T the product of a query and a key so far before it, rotated.

    Args:
        frequency: as in `rotate`.
        pairs: as in `rotate`.
        d_head: width of queries and keys.
        distances: how many, from 0.
    """
    places = repeat(torch.eye(d_head, dtype=torch.float64), "row column -> row distance column", distance=distances)
    return rearrange(rotate(places, frequency, pairs), "row distance column -> distance row column")
