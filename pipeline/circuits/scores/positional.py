"""Does a head look at the token before because of where tokens stand, whatever they are?

The position-position circuit of a head is W_pos W_Q (W_pos W_K)^T, given by its factors.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from pipeline.circuits.transformer.attention import pattern, scores
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import Factors


def position_circuit(weights: Weights, head: Head) -> Factors:
    """Query position -> key position: W_pos W_Q and W_pos W_K.

    Raises:
        ValueError: the model has no learned positions.
    """
    if weights.W_pos is None:
        raise ValueError(f"position_circuit of head {head[0]}.{head[1]}: the model has no W_pos; ask where it has")
    return weights.W_pos @ weights.W_Q[head], weights.W_pos @ weights.W_K[head]


def mean_attention(
    rows: Float[Tensor, "position d_head"], columns: Float[Tensor, "position d_head"]
) -> Float64[Tensor, ""]:
    """Mean attention to the token before by the position-position scores alone; perfect head 1.

    Args:
        rows: of queries.
        columns: of keys.

    Returns:
        Over all positions the model has but the first. What a norm would divide the
        scores by is left out.

    Source: ARENA, chapter 1.2.
    """
    return pattern(scores(rows.double(), columns.double())).diagonal(-1).mean()


def recall(rows: Float[Tensor, "position d_head"], columns: Float[Tensor, "position d_head"]) -> Float64[Tensor, ""]:
    """Share of positions whose score is largest, among all keys, at the one before; by chance 1 / (positions - 1).

    Keys that come later compete too: this reads the circuit as a memory, not as attention.

    Args:
        rows: of queries.
        columns: of keys.

    Source: Bietti et al. 2023, "Birth of a Transformer", the probe of W_K in layer 0.
    """
    best = (rows[1:] @ columns[:-1].mT).argmax(-1)
    return (best == torch.arange(len(best))).double().mean()
