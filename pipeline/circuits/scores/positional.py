"""Does a head look at the token before because of where tokens stand, whatever they are?

The position-position circuit of a head is W_pos W_Q (W_pos W_K)^T, given by its factors.
"""

import torch
from torch import Tensor

from pipeline.circuits.transformer.attention import pattern, scores
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import Factors


def position_circuit(weights: Weights, head: Head) -> Factors:
    """Query position -> key position: W_pos W_Q and W_pos W_K, [position, d_head] each."""
    return weights.W_pos @ weights.W_Q[head], weights.W_pos @ weights.W_K[head]


def mean_attention(rows: Tensor, columns: Tensor) -> Tensor:
    """Mean attention to the token before by the position-position scores alone; perfect head 1.

    Args:
        rows: [position, d_head], queries.
        columns: [position, d_head], keys.

    Returns:
        One number, float64, over all positions the model has but the first. What a norm would divide the
        scores by is left out.

    Source: ARENA, chapter 1.2.
    """
    return pattern(scores(rows.double(), columns.double())).diagonal(-1).mean()


def recall(rows: Tensor, columns: Tensor) -> Tensor:
    """Share of positions whose score is largest, among all keys, at the one before; by chance 1 / (positions - 1).

    Keys that come later compete too: this reads the circuit as a memory, not as attention.

    Args:
        rows: [position, d_head], queries.
        columns: [position, d_head], keys.

    Returns:
        One number, float64.

    Source: Bietti et al. 2023, "Birth of a Transformer", the probe of W_K in layer 0.
    """
    best = (rows[1:] @ columns[:-1].mT).argmax(-1)
    return (best == torch.arange(len(best))).double().mean()
