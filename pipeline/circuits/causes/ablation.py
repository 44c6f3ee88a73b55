"""What the loss does when some heads write something else.

All that comes after the change is computed anew, through any norms and feed-forward parts: of a set that spans
layers, a head of a later layer is replaced as it then is. Biases of values and of the output are constants of the
layer, not of a head: no ablation takes them away.
"""

from collections.abc import Collection, Mapping
from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Generator, Tensor

from pipeline.circuits.resampling import derangement
from pipeline.circuits.transformer.forward import Trace, forward, run_layer, unembed
from pipeline.circuits.transformer.layers import as_it_joins
from pipeline.circuits.transformer.losses import losses_of
from pipeline.circuits.transformer.weights import Head, Heads, Weights

METHODS = ("zero", "mean", "resample", "pattern_preserving", "random_direction")
Ablation = tuple[Heads, str]  # which heads, by which of METHODS


class Others(NamedTuple):
    """What may stand in for heads' outputs."""

    mean: Float[Tensor, "layer head d_head"]  # of z, over all sentences and positions
    donated: Float[Tensor, "batch layer head position d_head"]  # z of other sentences
    directions: Float[Tensor, "batch layer position d_model"]  # unit vectors


class Change(NamedTuple):
    """What an ablation makes of a forward pass."""

    z: Mapping[Head, Float[Tensor, "..."]]  # in place of the heads' own; broadcasts to [batch, position, d_head]
    added: Mapping[int, Float[Tensor, "batch position d_model"]] = {}  # by layer, to the output of its attention
    frozen: bool = False  # whether later layers attend as they did


def every_ablation(
    weights: Weights,
    tokens: Int[Tensor, "batch position"],
    ablations: Collection[Ablation],
    generator: Generator,
    at_once: int,
    places: Int[Tensor, " place"] | None = None,
) -> tuple[Float64[Tensor, "ablation batch position"], Float64[Tensor, "batch position"]]:
    """Ablate each of some sets of heads.

    Args:
        weights: the transformer.
        tokens: of at least two sequences, where one stands in for another.
        ablations: sets, each with one of METHODS.
        generator: decides whose output stands in for whose, and the random directions; the same for every set.
        at_once: sequences in one forward pass; bounds memory, not the result.
        places: positions of the tokens whose losses are wanted, from 1 on; None for all.

    Returns:
        Losses as `token_losses` gives them, NaN at other places, and those of the model as it is.

    Raises:
        ValueError: there is no other sequence whose output could stand in.
    """
    if len(tokens) < 2 and any(method == "resample" for _, method in ablations):
        raise ValueError(
            f"{len(tokens)} sentence is too few: a head's output is taken from another one; draw 2 (probe.sentences)"
        )
    batch, position = tokens.shape
    donors = derangement(batch, generator)
    directions = random_directions((batch, weights.n_layers, position, weights.d_model), generator).to(weights.W_E)
    parts = torch.arange(batch).split(at_once)
    z = torch.cat([forward(weights, tokens[part]).z for part in parts])
    mean = z.mean((0, 3))
    ablated, whole = [], []
    for part in parts:
        trace, others = forward(weights, tokens[part]), Others(mean, z[donors[part]], directions[part])
        ablated.append(_losses(weights, trace, ablations, others, places))
        whole.append(losses_unchanged(weights, trace, places))
    return torch.cat(ablated, 1), torch.cat(whole)


def _losses(
    weights: Weights,
    trace: Trace,
    ablations: Collection[Ablation],
    others: Others,
    places: Int[Tensor, " place"] | None,
) -> Float64[Tensor, "ablation batch position"]:
    """Losses of each ablation; one that comes again is computed once."""
    losses, last = {}, weights.n_layers - 1

    def found(heads: Heads, method: str) -> Tensor:
        if method == "pattern_preserving" and all(layer == last for layer, _ in heads):
            method = "zero"  # no later pattern could change
        key = frozenset(heads), method
        if key not in losses:
            losses[key] = losses_with(weights, trace, change_of(weights, trace, heads, method, others), places)
        return losses[key]

    return torch.stack([found(heads, method) for heads, method in ablations])


def random_directions(shape: tuple[int, ...], generator: Generator) -> Float[Tensor, "... d_model"]:
    """Draw unit vectors, a tensor of this shape, every direction alike."""
    return torch.nn.functional.normalize(torch.randn(shape, generator=generator), dim=-1)


def change_of(weights: Weights, trace: Trace, heads: Heads, method: str, others: Others) -> Change:
    """What a method of ablation changes.

    `random_direction`, the control, leaves the heads as they are and takes away vectors: in each layer as long as
    the sum of what those of its heads write in the model as it is.

    Args:
        weights: the transformer.
        trace: its forward pass, unchanged.
        heads: which.
        method: one of METHODS.
        others: what stands in for their outputs.

    Source: zero and pattern-preserving: Olsson et al. 2022, "In-context Learning and Induction Heads"; mean
    and resample: Chan et al. 2022, "Causal Scrubbing".
    """
    if method == "random_direction":
        lengths = {layer: written(weights, trace, heads, layer).norm(dim=-1, keepdim=True) for layer, _ in heads}
        return Change({}, {layer: -length * others.directions[:, layer] for layer, length in lengths.items()})
    if method == "mean":
        return Change({head: others.mean[head] for head in heads})
    if method == "resample":
        return Change({head: others.donated[:, *head] for head in heads})
    return Change(dict.fromkeys(heads, trace.z.new_zeros(())), frozen=method == "pattern_preserving")


def written(weights: Weights, trace: Trace, heads: Heads, layer: int) -> Float[Tensor, "batch position d_model"]:
    """What those of the heads that are in one layer write together."""
    return reduce(torch.add, [written_by(weights, trace, head) for head in heads if head[0] == layer])


def written_by(weights: Weights, trace: Trace, head: Head) -> Float[Tensor, "batch position d_model"]:
    """Return what a head adds to the stream."""
    scale = trace.of_layer(head[0]).get("attention_scale")
    return as_it_joins(weights, trace.z[:, *head] @ weights.W_O[head], head[0], scale)


def losses_with(
    weights: Weights, trace: Trace, change: Change, places: Int[Tensor, " place"] | None = None
) -> Float64[Tensor, "batch position"]:
    """Losses when something is changed; arguments as of `resid_with` and `every_ablation`.

    Logits are made of what the places need alone: of a large vocabulary all cost as much as half the layers.
    """
    places = _predicted(trace) if places is None else places
    return _losses_at(weights, resid_with(weights, trace, change, places - 1), trace.tokens, places)


def losses_unchanged(
    weights: Weights, trace: Trace, places: Int[Tensor, " place"] | None = None
) -> Float64[Tensor, "batch position"]:
    """Losses of the model as it is; arguments as of `losses_with`."""
    places = _predicted(trace) if places is None else places
    return _losses_at(weights, trace.resid[:, -1, places - 1], trace.tokens, places)


def _predicted(trace: Trace) -> Int[Tensor, " place"]:
    return torch.arange(1, trace.tokens.shape[1])


def _losses_at(
    weights: Weights,
    resid: Float[Tensor, "batch place d_model"],
    tokens: Int[Tensor, "batch position"],
    places: Int[Tensor, " place"],
) -> Float64[Tensor, "batch position"]:
    """Losses of the tokens at some places, of the stream after the last layer just before each."""
    losses = torch.full(tokens.shape, torch.nan, dtype=torch.float64)
    losses[:, places] = losses_of(unembed(weights, resid), tokens[:, places])
    return losses


def resid_with(
    weights: Weights, trace: Trace, change: Change, places: Int[Tensor, " place"] | slice = slice(None)
) -> Float[Tensor, "batch place d_model"]:
    """Return the stream after the last layer when something is changed.

    Args:
        weights: the transformer.
        trace: its forward pass, unchanged; what comes before the first change is not computed again.
        change: of at least one head or layer.
        places: positions where it is wanted; all if not given.
    """
    last = weights.n_layers - 1
    first = min([*change.added, *(layer for layer, _ in change.z)])
    z: dict[int, dict[int, Tensor]] = {layer: {} for layer in range(first, weights.n_layers)}
    for (layer, head), other in change.z.items():
        z[layer][head] = other
    if weights.ff_keys is None:  # layers only add to the stream, and so does the change
        resid = trace.resid[:, first + 1] + change.added.get(first, 0)
        for head, other in z[first].items():
            resid = resid + (other - trace.z[:, first, head]) @ weights.W_O[first, head]
        resid = resid[:, places] if first == last else resid
    else:
        known = {"z": z[first], "attended": trace.z[:, first], "places": places if first == last else slice(None)}
        resid, _ = run_layer(weights, trace.resid[:, first], first, change.added.get(first), **known)
    for later in range(first + 1, weights.n_layers):
        pattern, wanted = trace.pattern[:, later] if change.frozen else None, places if later == last else slice(None)
        resid, _ = run_layer(weights, resid, later, change.added.get(later), pattern, z[later], places=wanted)
    return resid
