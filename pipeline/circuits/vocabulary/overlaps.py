"""Do parameters that work together point at the same tokens, and do states name what made them?

Vectors are compared by the tokens they point at most. What chance would give comes from the same vectors
in shuffled pairs.

Source: Dar et al. 2022, "Analyzing Transformers in Embedding Space".
"""

import torch
from einops import rearrange
from jaxtyping import Float, Float64, Int
from torch import Generator, Tensor

from pipeline.circuits.resampling import derangement
from pipeline.circuits.transformer.forward import Trace, unembed
from pipeline.circuits.transformer.layers import (
    added,
    as_it_joins,
    at,
    attention_constant,
    head_outputs,
    neuron_activations,
    normalise,
)
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.tall import within_range
from pipeline.circuits.vocabulary.top_tokens import top_tokens

PORTION = 512  # vectors whose components on the vocabulary are formed at a time

# Vectors, and what takes them to tokens.
Vectors = tuple[Float[Tensor, "vector d_model"], Float[Tensor, "d_model d_vocab"]]


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
        keys, values = weights.ff_keys[layer], weights.parameter("ff_values")[layer]
        pairs["key_value"] = ((keys, embedding), (values, weights.W_U))
    return pairs


def token_sets(vectors: Vectors, *kinds: tuple[int, bool]) -> list[Int[Tensor, "vector k"]]:
    """The tokens that each vector points at most, of each kind: how many, and whether for or against, or only for."""
    sets, (reading, _) = [[] for _ in kinds], within_range(*vectors)
    for part in reading.split(PORTION):
        components = part @ vectors[1]
        everything = torch.ones(components.shape[1], dtype=torch.bool)
        for of_kind, (k, by_size) in zip(sets, kinds, strict=True):
            of_kind.append(next(top_tokens(components.abs() if by_size else components, k, everything))[1])
    return [torch.cat(of_kind) for of_kind in sets]


def shared(left: Int[Tensor, "... k"], right: Int[Tensor, "... n"]) -> Int[Tensor, "..."]:
    """How many members two sets have in common; no member may be twice in a set."""
    both = torch.cat([left, right], -1).sort(-1).values
    return (both[..., 1:] == both[..., :-1]).sum(-1)


def jaccard(left: Int[Tensor, "... k"], right: Int[Tensor, "... n"]) -> Float64[Tensor, "..."]:
    """Members that two sets have in common as a share of the members of either, 0 ... 1."""
    common = shared(left, right).double()
    return common / (left.shape[-1] + right.shape[-1] - common)


def active_neurons(weights: Weights, trace: Trace, layer: int, active: int) -> Int[Tensor, "batch position {active}"]:
    """The most active neurons of a layer at each position, by activation."""
    resid = trace.resid[:, layer]
    if weights.residual != "parallel":
        written = head_outputs(weights, trace.z[:, layer], layer).sum(-3)
        resid = resid + as_it_joins(weights, written, layer, trace.of_layer(layer).get("attention_scale"))
        resid = added(resid, attention_constant(weights, layer))
        if weights.norm_place == "after":
            resid, _ = normalise(weights, resid, at(weights.ln1_gain, layer), at(weights.ln1_bias, layer))
    return neuron_activations(weights, resid, layer).topk(active).indices


def recall_of_values(
    weights: Weights,
    trace: Trace,
    layer: int,
    promoted: Int[Tensor, "neuron k"],
    active: int,
    generator: Generator,
) -> tuple[Float64[Tensor, " place"], Float64[Tensor, " place"]]:
    """How many of the tokens that the stream after a layer promotes its most active neurons promote too.

    Args:
        weights: the model.
        trace: its forward pass.
        layer: which layer.
        promoted: the k tokens that each neuron's value promotes most, gains folded in; as many of the stream.
        active: neurons, the most active at each position.
        generator: for chance.

    Returns:
        Of every position of every sentence (place), 0 ... 1: the share of the k tokens, mean over the neurons, at
        the neurons' own position; and with the stream of another position.
    """
    neurons = active_neurons(weights, trace, layer, active)
    by_neurons = promoted[rearrange(neurons, "batch position active -> (batch position) active")]
    streams = rearrange(trace.resid[:, layer + 1], "batch position d_model -> (batch position) 1 d_model")
    by_stream = torch.cat([_promoted(weights, part, promoted.shape[1]) for part in streams.split(PORTION)])
    by_strangers = by_stream[derangement(len(by_stream), generator)]
    own, strange = (shared(by_neurons, tokens.expand_as(by_neurons)) for tokens in (by_stream, by_strangers))
    return own.double().mean(-1) / by_neurons.shape[-1], strange.double().mean(-1) / by_neurons.shape[-1]


def _promoted(weights: Weights, streams: Float[Tensor, "place 1 d_model"], k: int) -> Int[Tensor, "place 1 k"]:
    """The tokens of the k largest logits of streams."""
    logits = unembed(weights, streams)[:, 0]
    everything = torch.ones(logits.shape[1], dtype=torch.bool)
    return next(top_tokens(logits, k, everything))[1][:, None]
