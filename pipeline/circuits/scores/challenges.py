"""Sequences made to tell content from position: which keys compete there, and what a repeat foretells."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional

from pipeline.circuits.scores.head_patterns import Mask, same_token

# The two continuations of an ambiguous token, by how many tokens of context tell them apart.
RIVALS = {1: ("recent", "earlier"), 2: ("same_context", "other_context")}


def rivals(tokens: Int[Tensor, "batch position"], targets: Mask, context: int) -> tuple[Mask, Mask]:
    """Split the targets of queries that have two.

    Args:
        tokens: the sequences.
        targets: what followed earlier copies of the query's token.
        context: 1, the later against the earlier one; 2, the one that follows the query's own two tokens
            against the other, for queries with exactly one such.
    """
    contested = targets & (targets.sum(-1, keepdim=True) == 2)
    if context == 1:
        places = torch.arange(1, targets.shape[-1] + 1)
        latest = contested & (places == (contested * places).amax(-1, keepdim=True))
        return latest, contested & ~latest
    # Whether the tokens at query - 1 and key - 2 are the same, at (query, key).
    shared = same_token(tokens).roll((1, 2), dims=(1, 2))
    shared[:, 0], shared[:, :, :2] = False, False
    told_apart = (contested & shared).sum(-1, keepdim=True) == 1
    return contested & told_apart & shared, contested & told_apart & ~shared


def predictable(tokens: Int[Tensor, "batch position"], targets: Mask) -> Bool[Tensor, "batch position"]:
    """Say which tokens are what followed an earlier occurrence of the token before."""
    following = same_token(tokens)[:, 1:]  # entry (query, key): the key holds what comes after the query
    return functional.pad((targets[:, :-1] & following).any(-1), (1, 0))
