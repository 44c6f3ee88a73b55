"""Do parameters that work together point at the same tokens, and do states name what made them?

Vectors are compared by the tokens they point at most. What chance would give comes from the same vectors
in shuffled pairs.

Source: Dar et al. 2022, "Analyzing Transformers in Embedding Space".
"""

from dataclasses import replace

import torch
from einops import rearrange
from torch import Generator, Tensor

from pipeline.circuits.transformer.forward import Trace, unembed
from pipeline.circuits.transformer.layers import added, at, attention_constant, feed_forward, head_outputs, normalise
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.top_tokens import top_tokens

PORTION = 512  # vectors whose components on the vocabulary are formed at a time

Vectors = tuple[Tensor, Tensor]  # [vector, d_model], and what takes them to tokens, [d_model, d_vocab]


def partners(weights: Weights, layer: int) -> dict[str, tuple[Vectors, Vectors]]:
    """A layer's vectors in their natural pairs: what reads the stream, and what answers to it.

    Args:
        weights: the model, its gains folded in.
        layer: which layer.

    Returns:
        query_key: a head's W_Q and W_K, by dimension. value_output: its W_V and W_O. key_value: a neuron's
        input and output direction, where there are any.
    """
    columns, rows = "head d_model d_head -> (head d_head) d_model", "head d_head d_model -> (head d_head) d_model"
    W_Q, W_K, W_V = (rearrange(matrix[layer], columns) for matrix in (weights.W_Q, weights.W_K, weights.W_V))
    W_O, embedding = rearrange(weights.W_O[layer], rows), weights.W_E.T
    pairs = {
        "query_key": ((W_Q, embedding), (W_K, embedding)),
        "value_output": ((W_V, embedding), (W_O, weights.W_U)),
    }
    if weights.ff_keys is not None:
        keys, values = weights.ff_keys[layer], weights.ff_values[layer]
        pairs["key_value"] = ((keys, embedding), (values, weights.W_U))
    return pairs


def token_sets(vectors: Vectors, k: int, by_size: bool) -> Tensor:
    """The k tokens that each vector points at most, [vector, k]: for or against, if `by_size`."""
    sets = []
    for part in vectors[0].split(PORTION):
        components = part @ vectors[1]
        components = components.abs() if by_size else components
        everything = torch.ones(components.shape[1], dtype=torch.bool)
        sets.append(next(top_tokens(components, k, everything))[1])
    return torch.cat(sets)


def shared(one: Tensor, other: Tensor) -> Tensor:
    """How many members two sets [..., k] have in common, [...]; no member may be twice in a set."""
    both = torch.cat([one, other], -1).sort(-1).values
    return (both[..., 1:] == both[..., :-1]).sum(-1)


def jaccard(one: Tensor, other: Tensor) -> Tensor:
    """Members in common as a share of the members of either, [...] float64, 0 ... 1, of sets [..., k]."""
    common = shared(one, other).double()
    return common / (one.shape[-1] + other.shape[-1] - common)


def strangers(n: int, generator: Generator) -> Tensor:
    """For each of n, another one of them, [n]: everyone once, and no one itself, for n of 2 at least."""
    order = torch.randperm(n, generator=generator)
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return other


def active_values(weights: Weights, trace: Trace, layer: int, active: int) -> Tensor:
    """The most active neurons of a layer at each position, [batch, position, active], by activation."""
    resid = trace.resid[:, layer]
    if weights.residual != "parallel":
        resid = resid + head_outputs(weights, trace.z[:, layer], layer).sum(-3)
        resid = added(resid, attention_constant(weights, layer))
        if weights.norm_place == "after":
            resid, _ = normalise(weights, resid, at(weights.ln1_gain, layer), at(weights.ln1_bias, layer))
    alone = weights.one_layer(layer)
    # With the identity for its values, what the feed-forward part writes is its neurons' activations.
    identity = torch.eye(alone.ff_values.shape[1], dtype=resid.dtype)[None]
    return feed_forward(replace(alone, ff_values=identity), resid, 0).topk(active).indices


def recall_of_values(
    weights: Weights, folded: Weights, trace: Trace, layer: int, k: int, active: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """How many of the tokens that the stream after a layer promotes its most active neurons promote too.

    Args:
        weights: the model.
        folded: the same with its gains folded in, by which the neurons' values are read.
        trace: its forward pass.
        layer: which layer.
        k: tokens promoted most, by the stream and by each value.
        active: neurons, the most active at each position.
        generator: for chance.

    Returns:
        [batch * position] each, float64, 0 ... 1: the share of the k tokens, mean over the neurons, at the
        neurons' own position; and with the stream of another position.
    """
    chosen = rearrange(active_values(weights, trace, layer, active), "batch position active -> (batch position) active")
    neurons, place = chosen.unique(return_inverse=True)
    values = token_sets((folded.ff_values[layer][neurons], folded.W_U), k, by_size=False)[place]
    streams = rearrange(trace.resid[:, layer + 1], "batch position d_model -> (batch position) 1 d_model")
    hidden = torch.cat([_promoted(weights, part, k) for part in streams.split(PORTION)])
    other = strangers(len(hidden), generator)
    own, strange = (shared(values, sets.expand_as(values)) for sets in (hidden, hidden[other]))
    return own.double().mean(-1) / values.shape[-1], strange.double().mean(-1) / values.shape[-1]


def _promoted(weights: Weights, streams: Tensor, k: int) -> Tensor:
    """The k largest logits' tokens of streams [place, 1, d_model]: [place, 1, k]."""
    logits = unembed(weights, streams)[:, 0]
    everything = torch.ones(logits.shape[1], dtype=torch.bool)
    return next(top_tokens(logits, k, everything))[1][:, None]
