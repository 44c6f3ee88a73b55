"""What a model says of one prompt when one part of it does what it did on another: activation and path patching.

All is of the last position, and of one prompt each. Every change is computed on through later layers; of an edge,
only the reader's own input changes, what lies between keeps reading what it read.

Source: Meng et al. 2022, "Locating and Editing Factual Associations in GPT" (causal tracing); Wang et al. 2022,
"Interpretability in the Wild" (path patching).
"""

from dataclasses import fields, replace

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.circuits.causes.ablation import Change, resid_with, written_by
from pipeline.circuits.causes.edges import with_change
from pipeline.circuits.transformer.forward import Trace, run_layer, unembed
from pipeline.circuits.transformer.weights import Head, Weights


def patched_heads(weights: Weights, clean: Trace, corrupt: Trace, layer: int) -> Float[Tensor, "head d_vocab"]:
    """Return the corrupt prompt's last logits when each head of a layer, alone, has its z of the clean prompt.

    Args:
        weights: the transformer.
        clean: forward pass of one prompt.
        corrupt: of another, as long.
        layer: whose heads.
    """
    return _each_head(weights, corrupt, layer, clean.z[:, layer])


def patched_stream(weights: Weights, clean: Trace, corrupt: Trace, layer: int) -> Float[Tensor, "position d_vocab"]:
    """Return the corrupt prompt's last logits when the stream before a layer is the clean one's at each position alone.

    Layer n_layers is the stream after the last one. Arguments as of `patched_heads`.
    """
    n = corrupt.tokens.shape[1]
    resid = corrupt.resid[:, layer].repeat(n, 1, 1)
    place = torch.arange(n)
    resid[place, place] = clean.resid[0, layer]
    for later in range(layer, weights.n_layers):
        resid, _ = run_layer(weights, resid, later)
    return unembed(weights, resid[:, -1])


def patched_edges(
    weights: Weights, clean: Trace, corrupt: Trace, source: Head, layer: int
) -> dict[str, Float[Tensor, "reader d_vocab"]]:
    """Return the corrupt prompt's last logits when each head of a later layer, alone, reads one head's clean output.

    Args:
        weights: the transformer.
        clean: forward pass of one prompt.
        corrupt: of another, as long.
        source: the head that writes.
        layer: of those that read.

    Returns:
        By input: Q, K, V.
    """
    change = written_by(weights, clean, source) - written_by(weights, corrupt, source)
    changed = with_change(weights, corrupt, change, layer)
    return {through: _each_head(weights, corrupt, layer, attention.z) for through, attention in changed.items()}


def _each_head(
    weights: Weights, trace: Trace, layer: int, z: Float[Tensor, "1 head position d_head"]
) -> Float[Tensor, "head d_vocab"]:
    """Return the last logits when each head of a layer, alone, has another z: one run, a head a sequence."""
    n = weights.n_heads
    computed = {field.name: getattr(trace, field.name) for field in fields(trace)}
    tensors = {name: value for name, value in computed.items() if isinstance(value, Tensor)}
    many = replace(trace, **{name: value.expand(n, *value.shape[1:]) for name, value in tensors.items()})
    own = many.z[:, layer].clone()
    heads = torch.arange(n)
    own[heads, heads] = z[0]
    change = Change({(layer, head): own[:, head] for head in range(n)})
    return unembed(weights, resid_with(weights, many, change)[:, -1])
