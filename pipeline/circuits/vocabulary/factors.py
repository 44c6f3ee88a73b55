"""Token-to-token circuits as factors: the d_vocab x d_vocab matrix is rows @ columns^T, never formed.

Heads are (layer, head). Biases and what layer norm divides by are
left out. With layer norm, pass `gains_folded` weights. Rotary positions turn queries and keys; QK circuits
are of a token that meets another at its own place, where the turns cancel.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.circuits.transformer.layers import added, at, embedded, feed_forward, multiplied_by, normalise
from pipeline.circuits.transformer.weights import Head, Weights

Factors = tuple[Float[Tensor, "row d_head"], Float[Tensor, "column d_head"]]
PairCircuit = Literal["K_circuit", "virtual"]


def ov_circuit(weights: Weights, head: Head, tokens: Int[Tensor, " row"] | slice = slice(None)) -> Factors:
    """Token attended to -> logits: W_E W_V W_O W_U; the rows of some tokens, of all if they are not given."""
    return weights.W_E[tokens] @ weights.W_V[head], (weights.W_O[head] @ weights.W_U).mT


def qk_circuit(weights: Weights, head: Head) -> Factors:
    """Query token -> key token: W_E W_Q W_K^T W_E^T, before the 1/sqrt(d_head)."""
    return weights.W_E @ weights.W_Q[head], weights.W_E @ weights.W_K[head]


def through_two(weights: Weights, source: int, reader: int) -> Iterator[dict[PairCircuit, Factors]]:
    """Yield the circuits through each head of one layer and each of a later one; the first head changes last.

    K_circuit: query token -> token that the first copied to the key, W_E W_Q2 (W_E W_V1 W_O1 W_K2)^T: what an induction
    head matches on, if the first looks at the previous token. virtual: token attended to through both -> logits,
    W_E W_V1 W_O1 W_V2 W_O2 W_U.
    """
    heads = range(weights.n_heads)
    asked = [weights.W_E @ weights.W_Q[reader, head] for head in heads]
    written = [(weights.W_O[reader, head] @ weights.W_U).mT for head in heads]
    for first in heads:
        taken, W_O = weights.W_E @ weights.W_V[source, first], weights.W_O[source, first]
        for second in heads:
            offered = taken @ (W_O @ weights.W_K[reader, second])
            again = taken @ (W_O @ weights.W_V[reader, second])
            yield {"K_circuit": (asked[second], offered), "virtual": (again, written[second])}


def gains_folded(weights: Weights, mode: str = "folded") -> Weights:
    """Return weights whose matrices contain the norms' gains, and the embedding its scale, for reading circuits.

    The result is no model to run: the gains would count twice.

    Args:
        weights: the transformer.
        mode: "raw", gains left out; "folded", multiplied into the matrices that read a normalised stream:
            W_Q, W_K, W_V, the feed-forward keys and gates, W_U, and W_O and the feed-forward values, where norms
            stand behind them; "folded_centred", these matrices also lose
            the direction that a centring norm takes from the stream, so that raw embeddings are read as
            centred ones (no change where norms do not centre).
    """
    if weights.embed_scale != 1:
        weights = replace(weights, W_E=embedded(weights, weights.W_E), embed_scale=1.0)
    if mode == "raw" or weights.ln1_gain is None:
        return weights
    before_attention, before_feed_forward = _gains(weights)

    def fold(gain: Tensor, matrix: Tensor, rows: str) -> Tensor:
        gain = multiplied_by(weights, gain)
        folded = einsum(gain, matrix, f"layer d_model, {rows} d_model out -> {rows} d_model out")
        if mode == "folded_centred" and weights.norm == "layer":
            folded -= folded.mean(-2, keepdim=True)
        return folded

    reading = {name: fold(before_attention, getattr(weights, name), "layer head") for name in ("W_Q", "W_K", "W_V")}
    for name in ("ff_keys", "ff_gates"):
        neurons = getattr(weights, name)
        if neurons is not None and before_feed_forward is not None:
            reading[name] = fold(before_feed_forward, neurons.mT, "layer").mT
    if weights.ln1_post_gain is not None:
        reading["W_O"] = weights.W_O * multiplied_by(weights, weights.ln1_post_gain)[:, None, None]
    if weights.ln2_post_gain is not None:
        reading["ff_values"] = weights.parameter("ff_values") * multiplied_by(weights, weights.ln2_post_gain)[:, None]
    W_U = fold(weights.parameter("ln_final_gain")[None], weights.W_U[None], "layer")[0]
    return replace(weights, **reading, W_U=W_U)


def _gains(weights: Weights) -> tuple[Float[Tensor, "layer d_model"], Float[Tensor, "layer d_model"] | None]:
    """Return the gains of the norms whose output attention and feed-forward part read."""
    ln1_gain = weights.parameter("ln1_gain")
    if weights.norm_place == "before":
        return ln1_gain, weights.ln2_gain
    ln_embed_gain, ln2_gain = weights.parameter("ln_embed_gain"), weights.parameter("ln2_gain")
    return torch.cat([ln_embed_gain[None], ln2_gain[:-1]]), ln1_gain


def effective_embedding(weights: Weights, mode: str) -> Float[Tensor, "d_vocab d_model"]:
    """Return what stands for each token in the stream.

    Args:
        weights: the transformer, gains not folded.
        mode: "embedding", W_E; "after_mlp0", a token alone after the first layer's feed-forward part, with
            neither attention nor positions: what later heads read of a token, W_E where there is no such part.

    Source: Gurnee et al. 2023, "Finding Neurons in a Haystack"; Wang et al. 2022, appendix on the effective
    embedding.
    """
    if mode == "embedding" or weights.ff_keys is None:
        return embedded(weights, weights.W_E)
    return torch.cat([_after_mlp0(weights, embedded(weights, rows)) for rows in weights.W_E.split(1024)])


def _after_mlp0(weights: Weights, resid: Float[Tensor, "token d_model"]) -> Float[Tensor, "token d_model"]:
    resid = added(resid, weights.b_E)
    resid, _ = normalise(weights, resid, weights.ln_embed_gain, weights.ln_embed_bias)
    if weights.norm_place == "after":
        resid, _ = normalise(weights, resid, at(weights.ln1_gain, 0), at(weights.ln1_bias, 0))
    resid = added(resid + feed_forward(weights, resid, 0), at(weights.ff_value_bias, 0))
    if weights.norm_place == "after":
        resid, _ = normalise(weights, resid, at(weights.ln2_gain, 0), at(weights.ln2_bias, 0))
    return resid
