"""What the loss does when one head no longer reads what another one wrote: the direct edge between them, cut."""

from collections.abc import Iterable
from functools import reduce
from typing import NamedTuple

import torch
from einops import einsum
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from pipeline.circuits.causes.ablation import Change, losses_unchanged, losses_with, written_by
from pipeline.circuits.transformer.attention import capped, pattern, scores
from pipeline.circuits.transformer.forward import Trace, forward
from pipeline.circuits.transformer.layers import keys, queries, values, what_heads_read
from pipeline.circuits.transformer.weights import Head, Weights

INPUTS = ("Q", "K", "V")  # of a head


def every_edge(
    weights: Weights,
    tokens: Int[Tensor, "batch position"],
    sources: Iterable[Head],
    readers: list[Head],
    role: Bool[Tensor, "batch query key"],
    at_once: int,
    places: Int[Tensor, " place"] | None = None,
) -> tuple[
    Float64[Tensor, "source input reader batch position"],
    Float64[Tensor, "batch position"],
    Float64[Tensor, "source input reader"],
]:
    """Cut each edge from some heads to some heads of one later layer, through queries, keys and values.

    Args:
        weights: the transformer.
        tokens: of the sequences.
        sources: the heads that write.
        readers: the heads that read, all of one layer.
        role: the keys that readers should look at, as `induction.targets`.
        at_once: sequences in one forward pass; bounds memory, not the result.
        places: as of `every_ablation`.

    Returns:
        Losses as `every_ablation` gives them, and those of the model as it is; how much more attention the readers
        pay to the role's keys together, averaged over queries that have any: NaN if none has.
    """
    cut, whole, moved = [], [], []
    for part in torch.arange(len(tokens)).split(at_once):
        trace = forward(weights, tokens[part])
        by_source = [_cut(weights, trace, source, readers, role[part], places) for source in sources]
        losses, change = (torch.stack(values) for values in zip(*by_source, strict=True))
        cut.append(losses)
        moved.append(change)
        whole.append(losses_unchanged(weights, trace, places))
    return torch.cat(cut, 3), torch.cat(whole), reduce(torch.add, moved) / role.any(-1).sum()


def _cut(
    weights: Weights,
    trace: Trace,
    source: Head,
    readers: list[Head],
    role: Bool[Tensor, "batch query key"],
    places: Int[Tensor, " place"] | None,
) -> tuple[Float64[Tensor, "input reader batch position"], Float64[Tensor, "input reader"]]:
    """Cut one head's edges; return the losses, and the summed change of attention to the role."""
    layer, losses, changes = readers[0][0], [], []
    for without in without_edge(weights, trace, source, layer).values():
        losses.append(torch.stack([edge_losses(weights, trace, without.z, reader, places) for reader in readers]))
        change = (without.pattern - trace.pattern[:, layer]).double()
        change = einsum(change, role.double(), "batch head query key, batch query key -> head")
        changes.append(change[[head for _, head in readers]])
    return torch.stack(losses), torch.stack(changes)


class Attention(NamedTuple):
    """What a layer's heads do."""

    pattern: Float[Tensor, "batch head query key"]
    z: Float[Tensor, "batch head position d_head"]


def without_edge(weights: Weights, trace: Trace, source: Head, layer: int) -> dict[str, Attention]:
    """What a layer's heads do when what one earlier head wrote is taken from what they read: one input at a time.

    What lies between the two keeps reading the source, so that this is the direct edge alone.

    Args:
        weights: the transformer.
        trace: its forward pass.
        source: (layer, head) of the head that writes.
        layer: of the heads that read, a later one.

    Returns:
        By input. Q: taken from queries; K: from keys; V: from values, with the pattern as it was.
    """
    return with_change(weights, trace, -written_by(weights, trace, source), layer)


def with_change(
    weights: Weights, trace: Trace, change: Float[Tensor, "batch position d_model"], layer: int
) -> dict[str, Attention]:
    """What a layer's heads do when something joins what they read: one input at a time, as in `without_edge`."""
    stream = trace.resid[:, layer]
    whole, _ = what_heads_read(weights, stream, layer)
    changed, _ = what_heads_read(weights, stream + change, layer)
    value = values(weights, whole, layer)

    def attending(query: Tensor, key: Tensor) -> Attention:
        attention = pattern(capped(scores(query, key), weights.score_cap), weights.attends)
        return Attention(attention, attention @ value)

    return {
        "Q": attending(queries(weights, changed, layer), keys(weights, whole, layer)),
        "K": attending(queries(weights, whole, layer), keys(weights, changed, layer)),
        "V": Attention(trace.pattern[:, layer], trace.pattern[:, layer] @ values(weights, changed, layer)),
    }


def edge_losses(
    weights: Weights,
    trace: Trace,
    z: Float[Tensor, "batch head position d_head"],
    reader: Head,
    places: Int[Tensor, " place"] | None = None,
) -> Float64[Tensor, "batch position"]:
    """Losses when one head has the z of `without_edge`, at some places."""
    return losses_with(weights, trace, Change({reader: z[:, reader[1]]}), places)
