"""Bugs in the forward pass written out: what is computed otherwise of the same weights."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from pipeline.circuits.transformer.layers import added, at, centre, multiplied_by, project, turned
from pipeline.circuits.transformer.weights import Weights
from pipeline.models.injected import which
from pipeline.models.injected.bug import Bug

Attention = Callable[..., Tensor]  # of scores, and which way a query attends
Norm = Callable[..., tuple[Tensor, Tensor | None]]

PATTERN = "pipeline.circuits.transformer.attention.pattern"
NORMALISE = "pipeline.circuits.transformer.layers.normalise"
EMBED, UNEMBED = (f"pipeline.circuits.transformer.forward.{name}" for name in ("embed", "unembed"))


def _sees(later: int) -> Callable[[Attention], Attention]:
    """Let a query see keys up to so many places after it; the first always sees itself."""

    def wrong(scores: Tensor, attends: str = "back") -> Tensor:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool).tril(later)
        seen[0, 0] = True
        return scores.masked_fill(~seen, -torch.inf).softmax(-1)

    return lambda pattern: wrong


def _masked_after(pattern: Attention) -> Attention:
    return lambda scores, attends="back": scores.softmax(-1).tril()


def _masked_by_zero(pattern: Attention) -> Attention:
    return lambda scores, attends="back": scores.tril().softmax(-1)


def _over_queries(pattern: Attention) -> Attention:
    """Share each key's attention among queries, those before it left out where they do not see it."""

    def wrong(scores: Tensor, attends: str = "back") -> Tensor:
        shared = scores if attends == "both_ways" else scores.masked_fill(pattern(scores, attends) == 0, -torch.inf)
        return shared.softmax(-2)

    return wrong


def _values_turned(values: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda weights, read, layer: turned(weights, values(weights, read, layer))


def _keys_not_turned(keys: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda weights, read, layer: project(read, weights.W_K[layer], at(weights.b_K, layer))


def _speeds_rounded(rotate: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda x, frequency, pairs: rotate(x, frequency.bfloat16().to(frequency), pairs)


def _divided_by(scale_of: Callable[[Weights, Tensor], Tensor]) -> Callable[[Norm], Norm]:
    """Divide by another scale, of the centred stream."""

    def wrong(weights: Weights, x: Tensor, gain: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if gain is None:
            return x, None
        centred = centre(weights, x)
        scale = scale_of(weights, centred)
        return added(centred / scale[..., None] * multiplied_by(weights, gain), bias), scale

    return lambda normalise: wrong


def _eps_outside(weights: Weights, centred: Tensor) -> Tensor:
    return centred.square().mean(-1).sqrt() + weights.ln_eps


def _of_a_sample(weights: Weights, centred: Tensor) -> Tensor:
    return (centred.square().sum(-1) / (weights.d_model - 1) + weights.ln_eps).sqrt()


def _not_normed(name: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Leave out a norm."""
    absent = {f"{name}_gain": None, f"{name}_bias": None}
    return lambda function: lambda weights, read: function(replace(weights, **absent), read)


OF_FORWARD = (
    Bug("a query sees the next key", "pattern", which.BACKWARD, functions={PATTERN: _sees(1)}),
    Bug("a query does not see its own key", "pattern", which.BACKWARD, functions={PATTERN: _sees(-1)}),
    Bug("mask after softmax", "pattern", which.BACKWARD, functions={PATTERN: _masked_after}),
    Bug("mask by a score of zero", "pattern", which.BACKWARD, functions={PATTERN: _masked_by_zero}),
    Bug("softmax over queries", "pattern", which.EVERY, functions={PATTERN: _over_queries}),
    Bug(
        "rotary on values",
        "terms",
        which.ROTARY,
        functions={"pipeline.circuits.transformer.layers.values": _values_turned},
    ),
    Bug(
        "rotary on queries only",
        "terms",
        which.ROTARY,
        functions={"pipeline.circuits.transformer.layers.keys": _keys_not_turned},
    ),
    Bug(
        "rotary speeds in bfloat16",
        "terms",
        which.ROTARY,
        functions={"pipeline.circuits.transformer.attention.rotate": _speeds_rounded},
    ),
    Bug("eps outside the root", "terms", which.NORMED_BEFORE, functions={NORMALISE: _divided_by(_eps_outside)}),
    Bug("norm by a sample's deviation", "terms", which.NORMED, functions={NORMALISE: _divided_by(_of_a_sample)}),
    Bug("norm of the embedding dropped", "terms", ("bert",), functions={EMBED: _not_normed("ln_embed")}),
    Bug("last norm dropped", "logits", which.NORMED, functions={UNEMBED: _not_normed("ln_final")}),
)
