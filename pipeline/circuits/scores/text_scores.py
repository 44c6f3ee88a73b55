"""Scores of circuits that a text weighs: how often tokens occur, which heads look at the token before."""

from dataclasses import replace

import torch
from einops import rearrange
from torch import Tensor

from pipeline.circuits.scores import copying, induction
from pipeline.circuits.scores.score import Score, Scores, pooled
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import ov_circuit


def unigram_scores(weights: Weights, tokens: Tensor, first: int, tile: int) -> Scores:
    """Share of a text's tokens that are largest in their own row of a head's OV circuit.

    Over the vocabulary alone, tokens that hardly ever occur count as much as all others.

    Args:
        weights: with layer norm's gains folded in.
        tokens: [batch, position], the text.
        first: the first position that is not [BEGIN]: 0 or 1.
        tile: rows ranked at a time; bounds memory, not the result.

    Returns:
        The score, [layer, head].
    """
    occurring, place = tokens[:, first:].unique(return_inverse=True)
    shares = []
    for layer, head in _heads(weights):
        rank = copying.diagonal_rank(*ov_circuit(weights, (layer, head)), occurring, tile)
        shares.append((rank < 1).double()[place].mean(-1))
    shares = rearrange(torch.stack(shares), "(layer head) batch -> batch layer head", layer=weights.n_layers)
    return {("copying", "top1_unigram"): pooled(shares, torch.ones_like(shares), 1 / weights.d_vocab, ideal=1.0)}


def prefix_scores(weights: Weights, previous: Tensor) -> Scores:
    """Score each head's weights as those of an induction head fed by the heads that look at the token before.

    Args:
        weights: with layer norm's gains folded in.
        previous: [layer, head], each head's mean attention to the token before.

    Returns:
        The scores, [layer, head] each; NaN in layer 0, which no head feeds. `prefix_trace` is the trace of
        `induction.prefix_circuit`, in no unit, and grows with the weights; `prefix_ratio` is what its
        eigenvalues add up to over their sizes, -1 ... 1.
    """
    # With W_E = Q R, W_E M W_E^T has the trace and the eigenvalues of the smaller R M R^T.
    weights = replace(weights, W_E=torch.linalg.qr(weights.W_E.double()).R)
    carried = torch.zeros(weights.d_model, weights.d_model, dtype=torch.float64)
    values = []
    for layer, head in _heads(weights):
        if layer and not head:
            carried = carried + induction.shifted(weights, layer - 1, previous[layer - 1])
        rows, columns = induction.prefix_circuit(weights, carried, (layer, head))
        trace = (rows * columns).sum() if layer else torch.nan * rows.sum()
        values.append(torch.stack([trace, copying.eigenvalue_score(rows, columns)]))
    axes = "(layer head) score -> score layer head"
    trace, ratio = rearrange(torch.stack(values), axes, layer=weights.n_layers)
    return {
        ("induction", "prefix_trace"): Score(trace, chance=0.0),
        ("induction", "prefix_ratio"): Score(ratio, chance=0.0, ideal=1.0),
    }


def _heads(weights: Weights) -> list[tuple[int, int]]:
    return [(layer, head) for layer in range(weights.n_layers) for head in range(weights.n_heads)]
