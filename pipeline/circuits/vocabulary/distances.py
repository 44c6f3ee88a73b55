"""How a rotary head's scores depend on the distance between query and key, and on their tokens.

A token alone, as the model's norms and biases leave it, has a query and a key; their score at a distance is
q R(distance) k^T / sqrt(d_head). Its mean over pairs of tokens is what any pair has there: the position part. How far
pairs stray from it is the content part. Both follow from two moments of what is read, whatever the vocabulary's size.
"""

from dataclasses import dataclass
from math import sqrt

import torch
from einops import einsum
from jaxtyping import Float, Float64, Int
from torch import Tensor

from pipeline.circuits.transformer.layers import added, at, multiplied_by, normalise
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.tall import AT_ONCE, in_float64


@dataclass(frozen=True)
class TokenMoments:
    """Of what heads read of a token drawn from a text, before their norm's gain and bias."""

    mean: Float64[Tensor, " d_model"]
    covariance: Float64[Tensor, "d_model d_model"]

    @classmethod
    def of(
        cls, weights: Weights, embedding: Float[Tensor, "token d_model"], occurrences: Int[Tensor, " token"]
    ) -> "TokenMoments":
        """Take the moments over tokens, each as often as it occurs.

        Args:
            weights: the transformer, gains not folded.
            embedding: what stands for each token in the stream.
            occurrences: of each token, at least one.
        """
        ones = torch.ones(embedding.shape[1], dtype=torch.float64)
        gain = None if weights.ln1_gain is None else ones - weights.gain_from  # one that multiplies by 1
        mean, squares = torch.zeros(embedding.shape[1], dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        parts = occurrences.double().div(occurrences.sum()).split(AT_ONCE)
        for share, part in zip(parts, in_float64(embedding), strict=True):
            read, _ = normalise(weights, part, gain, None)
            mean = mean + share @ read
            squares = squares + (share[:, None] * read).mT @ read
        return cls(mean, squares - torch.outer(mean, mean))


def score_parts(
    weights: Weights, layer: int, moments: TokenMoments, turns: Float64[Tensor, "distance d_head d_head"]
) -> tuple[Float64[Tensor, "head distance"], Float64[Tensor, "head distance"]]:
    """Return the position part and the content part of the scores of a layer's heads, by distance.

    Args:
        weights: the transformer, gains not folded, with a norm before its parts or none.
        layer: which layer.
        moments: of what it reads.
        turns: `attention.turns`.

    Returns:
        Mean and standard deviation of the scores of independent queries and keys.
    """
    gain = None if weights.ln1_gain is None else multiplied_by(weights, weights.ln1_gain[layer])
    bias = at(weights.ln1_bias, layer)
    mean = added(moments.mean if gain is None else moments.mean * gain, bias)
    covariance = moments.covariance if gain is None else moments.covariance * torch.outer(gain, gain).double()
    matrices = weights.W_Q[layer].double(), weights.W_K[layer].double()
    (q, q_spread), (k, k_spread) = (
        (added(mean @ matrix, at(own, layer)), matrix.mT @ covariance @ matrix)
        for matrix, own in zip(matrices, (weights.b_Q, weights.b_K), strict=True)
    )
    turned = einsum(q, turns, "head i, distance i j -> head distance j")
    spread = einsum(turns, q_spread, turns, "distance i j, head i k, distance k l -> head distance j l")
    position = einsum(turned, k, "head distance j, head j -> head distance")
    # Of both together, of queries alone, of keys alone.
    content = einsum(spread, k_spread, "head distance j l, head j l -> head distance")
    content += einsum(k, spread, k, "head j, head distance j l, head l -> head distance")
    content += einsum(turned, k_spread, turned, "head distance j, head j l, head distance l -> head distance")
    return position / sqrt(weights.d_head), (content.clamp_min(0) / weights.d_head).sqrt()
