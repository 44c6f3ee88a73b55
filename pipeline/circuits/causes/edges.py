"""What the loss does when one head no longer reads what another one wrote: the direct edge between them, cut."""

from collections.abc import Iterable

import torch
from einops import einsum
from torch import Tensor

from pipeline.circuits.causes.ablation import losses_with
from pipeline.circuits.transformer.attention import pattern, scores
from pipeline.circuits.transformer.forward import Trace, forward
from pipeline.circuits.transformer.layers import keys, queries, values, what_heads_read
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Head, Weights

KINDS = ("Q", "K", "V")


def every_edge(
    weights: Weights, tokens: Tensor, sources: Iterable[Head], readers: list[Head], role: Tensor, batch: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Cut each edge from some heads to some heads of one later layer, through queries, keys and values.

    Args:
        weights: the transformer.
        tokens: [batch, position].
        sources: the heads that write.
        readers: the heads that read, all of one layer.
        role: bool [batch, query, key], the keys that readers should look at, as `induction.targets`.
        batch: sequences in one forward pass; bounds memory, not the result.

    Returns:
        Losses as `token_losses` gives them: [source, kind, reader, batch, position], and [batch, position] of
        the model as it is; how much more attention the readers pay to the role's keys together, averaged over
        queries that have any, [source, kind, reader]: NaN if none has.
    """
    cut, whole, moved = [], [], []
    for part in torch.arange(len(tokens)).split(batch):
        trace = forward(weights, tokens[part])
        each = [_cut(weights, trace, source, readers, role[part]) for source in sources]
        losses, change = (torch.stack(side) for side in zip(*each, strict=True))
        cut.append(losses)
        moved.append(change)
        whole.append(token_losses(trace.logits, trace.tokens))
    return torch.cat(cut, 3), torch.cat(whole), sum(moved) / role.any(-1).sum()


def _cut(weights: Weights, trace: Trace, source: Head, readers: list[Head], role: Tensor) -> tuple[Tensor, Tensor]:
    """Cut one head's edges.

    Returns:
        Losses [kind, reader, batch, position], and the summed change of attention to the role [kind, reader].
    """
    layer, losses, changes = readers[0][0], [], []
    for attention, z in without_edge(weights, trace, source, layer).values():
        losses.append(torch.stack([edge_losses(weights, trace, z, reader) for reader in readers]))
        change = (attention - trace.pattern[:, layer]).double()
        change = einsum(change, role.double(), "batch head query key, batch query key -> head")
        changes.append(change[[head for _, head in readers]])
    return torch.stack(losses), torch.stack(changes)


def without_edge(weights: Weights, trace: Trace, source: Head, layer: int) -> dict[str, tuple[Tensor, Tensor]]:
    """What a layer's heads do when what one earlier head wrote is taken from what they read: one input at a time.

    What lies between the two keeps reading the source, so that this is the direct edge alone.

    Args:
        weights: the transformer.
        trace: its forward pass.
        source: (layer, head) of the head that writes.
        layer: of the heads that read, a later one.

    Returns:
        kind: the pattern [batch, head, query, key] and z [batch, head, position, d_head]. Q: taken from
        queries; K: from keys; V: from values, with the pattern as it was.
    """
    resid = trace.resid[:, layer]
    written = trace.z[:, *source] @ weights.W_O[source]
    streams = [what_heads_read(weights, stream, layer)[0] for stream in (resid, resid - written)]
    query, key, value = (
        [made_from(weights, stream, layer) for stream in streams] for made_from in (queries, keys, values)
    )
    patterns = {
        "Q": pattern(scores(query[1], key[0]), weights.attends),
        "K": pattern(scores(query[0], key[1]), weights.attends),
        "V": trace.pattern[:, layer],
    }
    return {kind: (attention, attention @ value[kind == "V"]) for kind, attention in patterns.items()}


def edge_losses(weights: Weights, trace: Trace, z: Tensor, reader: Head) -> Tensor:
    """Losses [batch, position] when one head has the z [batch, head, position, d_head] of `without_edge`."""
    layer, head = reader
    change = (z[:, head] - trace.z[:, layer, head]) @ weights.W_O[reader]
    return losses_with(weights, trace, layer, change)
