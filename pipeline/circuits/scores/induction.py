"""Prefix matching: after `a b ... a`, does the head look at `b`? In patterns, and in weights alone.

For a head whose every query with targets spreads all its attention over them, `head_patterns.mass` of the
targets is 1; the other definitions give it less, by amounts that depend on the sequences alone, so a value
is comparable only with others of the same definition.
"""

from collections.abc import Iterator
from itertools import accumulate

import torch
from einops import einsum
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

from pipeline.circuits.scores.head_patterns import Mask, Template, looking_back, mass, same_token
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import Factors


def targets(tokens: Int[Tensor, "batch position"], first: int, prefix: int = 1) -> Mask:
    """Which keys follow an earlier occurrence of the query's token: the mask of the induction role.

    Args:
        tokens: the sequences.
        first: the first position that may be of such an occurrence: 1 where sequences start with [BEGIN].
        prefix: tokens that must be the same, the query's own among them.

    Returns:
        True where the tokens before the key equal the query's last and come before the query.
    """
    same = same_token(tokens)
    earlier = same.tril(-1)
    for back in range(1, prefix):
        earlier &= same.roll((back, back), dims=(1, 2))
    return _following(earlier, first + prefix - 1)


def near_targets(tokens: Int[Tensor, "batch position"], first: int, near: Int[Tensor, "d_vocab near"]) -> Mask:
    """Which keys follow an earlier token that is near the query's: the mask of fuzzy induction.

    Args:
        tokens: the sequences.
        first: as in `targets`.
        near: of `nearest`.
    """
    same = torch.zeros(len(tokens), tokens.shape[1], tokens.shape[1], dtype=torch.bool)
    for of_rank in near.mT:
        same |= of_rank[tokens][:, :, None] == tokens[:, None, :]
    return _following(same.tril(-1), first)


def nearest(
    W_E: Float[Tensor, "d_vocab d_model"], tokens: Int[Tensor, " token"], near: int, tile: int
) -> Int[Tensor, "d_vocab near"]:
    """Return which tokens' embeddings have the largest cosine with each token's, its own left out.

    Args:
        W_E: the embedding.
        tokens: whose neighbours are asked for; those of others are -1, no token.
        near: how many; all others of a smaller vocabulary.
        tile: tokens compared with all at a time; bounds memory, not the result.
    """
    directions = functional.normalize(W_E, dim=-1)
    found = torch.full((len(W_E), min(near, len(W_E) - 1)), -1)
    for part in tokens.split(tile):
        cosine = directions[part] @ directions.mT
        cosine[torch.arange(len(part)), part] = -torch.inf
        found[part] = cosine.topk(found.shape[1]).indices
    return found


def _following(earlier: Mask, begins: int) -> Mask:
    """Move a mask of keys before the query to the keys after these; the first one that counts is `begins`."""
    earlier[:, :, :begins] = False
    # The last position is earlier than none, so nothing wraps around to key 0.
    return earlier.roll(1, dims=-1)


def most_recent(targets: Mask) -> Template:
    """Attention to each query's latest target alone, averaged over queries that have any.

    The perfect head of its `role` looks at all targets alike, and so has less than 1 where there are several.
    """
    places = torch.arange(1, targets.shape[-1] + 1)
    latest = (targets * places).amax(-1, keepdim=True)
    chosen = mass(targets & (places == latest))
    return Template(chosen.entries, chosen.weight, targets)


def stripe(tokens: Int[Tensor, "batch position"], period: int, targets: Mask) -> Template:
    """Mean of the diagonal on which a token looks `period` - 1 back, matches and all else on it.

    A perfect head stays below 1: the first entries of the diagonal, before any repeat, are no matches.

    Source: the induction-head demonstrations of TransformerLens (main demo) and ARENA (chapter 1.2).
    """
    chosen = mass(looking_back(tokens, period - 1))
    return Template(chosen.entries, chosen.weight, targets)


def shifted(weights: Weights, layer: int, previous: Float[Tensor, " head"]) -> Float64[Tensor, "d_model d_model"]:
    """Return what a layer's heads carry from a token to the next one: the sum over heads of previous * W_V W_O.

    Args:
        weights: with layer norm's gains folded in.
        layer: which layer.
        previous: each head's attention to the token before.
    """
    axes = "head, head d_model d_head, head d_head out -> d_model out"
    return einsum(previous.double(), weights.W_V[layer].double(), weights.W_O[layer].double(), axes)


def carried(
    weights: Weights, previous: Float[Tensor, "layer head"]
) -> Iterator[tuple[int, Float64[Tensor, "d_model d_model"]]]:
    """Yield each layer from 1 on with what all heads before it carry from a token to the next one.

    Args:
        weights: with layer norm's gains folded in.
        previous: each head's attention to the token before.

    Returns:
        The layer and the sum of `shifted` over earlier ones.
    """
    return enumerate(accumulate(shifted(weights, layer, previous[layer]) for layer in range(weights.n_layers - 1)), 1)


def prefix_circuit(weights: Weights, carried: Float64[Tensor, "d_model d_model"], reader: Head) -> Factors:
    """Query token -> token that earlier heads copied to the next position: W_E W_Q (W_E carried W_K)^T.

    A query matches a key if the token before the key is its own.

    Args:
        weights: with layer norm's gains folded in.
        carried: what earlier layers do, of `carried`.
        reader: (layer, head) with W_Q and W_K.

    Returns:
        Rows and columns, float64.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads", appendix, where the trace of this
    circuit is the prefix-matching score of weights.
    """
    W_E = weights.W_E.double()
    return W_E @ weights.W_Q[reader].double(), W_E @ (carried @ weights.W_K[reader].double())
