"""A forward pass whose patterns, norms' scales and feed-forward outputs are held: the logits as sums over parts.

A norm whose scale is held is linear, and then so are heads and logits in the stream. A LayerNorm takes the mean over
d_model from each part: its gain and this centring are in the matrices that read it.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; direct logit attribution with the last
norm's scale held: Wang et al. 2022, "Interpretability in the Wild", and TransformerLens.
"""

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import NamedTuple

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

from pipeline.circuits.transformer.forward import Trace
from pipeline.circuits.transformer.layers import at, attention_constant, embedded, normalise, over
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded


def adds_up(weights: Weights) -> bool:
    """Whether the model's logits are a sum over parts of the stream once its norms' scales are held.

    Not where norms stand on the stream itself or behind a part, a nonlinear head stands before the unembedding, or
    logits are capped.
    """
    nothing_after = weights.ln1_post_gain is None and weights.logit_cap is None
    return nothing_after and weights.norm_place == "before" and weights.W_head is None and weights.ln_embed_gain is None


def what_is_read(weights: Weights) -> Weights:
    """Return the model as its heads and logits read the stream over a norm's scale: gains folded in, centred."""
    return gains_folded(replace(weights, ff_keys=None, ff_gates=None), "folded_centred")


class Part(NamedTuple):
    """What writes to the stream. Kinds: token and position (embeddings), head, feed_forward, bias (constants)."""

    kind: str
    layer: int | None = None
    head: int | None = None


@dataclass(frozen=True)
class Held:
    """A forward pass of a model that adds up."""

    weights: Weights
    read: Weights  # gains folded in, centred: what heads and logits read of the stream over its norm's scale
    trace: Trace
    final_scale: Float[Tensor, "batch position"] | None  # what the last norm divided by; None without

    @classmethod
    def of(cls, weights: Weights, trace: Trace, read: Weights | None = None) -> "Held":
        """Hold a forward pass.

        Args:
            weights: the model.
            trace: of it.
            read: of `what_is_read`, which pays where many passes share it.

        Raises:
            ValueError: the model's logits do not add up.
        """
        if not adds_up(weights):
            raise ValueError(
                "norms stand on the model's stream itself or behind its parts, or its logits are capped: "
                "its logits are no sum; leave its parts out"
            )
        _, scale = normalise(weights, trace.resid[:, -1], weights.ln_final_gain, None)
        return cls(weights, what_is_read(weights) if read is None else read, trace, scale)

    def seen(self, x: Float[Tensor, "batch *parts position width"], layer: int) -> Float[Tensor, "batch ..."]:
        """Return x, part of the stream before a layer or a map of it, over the scale of the norm its heads read."""
        scales = self.trace.ln1_scale
        return x if scales is None else over(x, scales[:, layer])

    def unscaled(self, x: Float[Tensor, "batch *parts position width"]) -> Float[Tensor, "batch ..."]:
        """Return x, part of the last stream or a map of it, over the scale of the last norm."""
        return x if self.final_scale is None else over(x, self.final_scale)

    def logits(self, x: Float[Tensor, "batch *parts position d_model"]) -> Float[Tensor, "batch ..."]:
        """Return what parts of the last stream add to the logits, without `logit_constant`."""
        return self.unscaled(x) @ self.read.W_U

    @property
    def logit_constant(self) -> Float[Tensor, " d_vocab"] | None:
        """What the logits have whatever the stream: of the last norm's bias, and b_U."""
        bias = self.weights.ln_final_bias
        return _sum(None if bias is None else bias @ self.weights.W_U, self.weights.b_U)

    def value_constant(self, layer: int) -> Float[Tensor, "head d_head"] | None:
        """Return what the bias of the norm before a layer gives each head's values."""
        bias = at(self.weights.ln1_bias, layer)
        axes = "d_model, head d_model d_head -> head d_head"
        return None if bias is None else einsum(bias, self.weights.W_V[layer], axes)

    def besides_heads(self, layer: int) -> Float[Tensor, "..."] | None:
        """Return what a layer adds to the stream that passes no head: its feed-forward part and constants."""
        written = self.trace.feed_forward
        return _sum(None if written is None else written[:, layer], self._constant(layer))

    def directions(self, tokens: Int[Tensor, "batch position"]) -> Float[Tensor, "batch position d_model"]:
        """Return how much a token's logit, less the mean of all, grows with the last stream over its scale."""
        return self.read.W_U.mT[tokens] - self._mean_direction

    @cached_property
    def _mean_direction(self) -> Float[Tensor, " d_model"]:
        return self.read.W_U.mean(-1)

    def contributions(self) -> dict[Part, Float64[Tensor, "batch position"]]:
        """Return what each part adds to the logit of the token that comes, less the mean of all logits there.

        Logits of the whole vocabulary are not formed.

        Returns:
            By part, at the position of the token predicted; NaN at position 0. They add up to the model's own.
        """
        coming, constant = self.trace.tokens.roll(-1, 1), self.logit_constant
        offset = None if constant is None else constant[coming] - constant.mean()
        added = self._towards(self.directions(coming), offset)
        return {part: functional.pad(x[:, :-1], (1, 0), value=torch.nan) for part, x in added.items()}

    def logit_parts(self, answer: int, against: int | None = None) -> dict[Part, Float64[Tensor, "batch position"]]:
        """Return what each part adds, at every position, to one logit less another, or less the mean of all.

        Args:
            answer: the token whose logit it is.
            against: the token whose logit is taken away; None for the mean over the vocabulary.
        """
        direction, offset = self.between(answer, against)
        return self._towards(direction.expand_as(self.trace.resid[:, -1]), offset)

    def between(
        self, answer: int, against: int | None = None
    ) -> tuple[Float[Tensor, " d_model"], Float[Tensor, ""] | None]:
        """Return what one logit less another, or less the mean of all, is of the last stream over its scale.

        Returns:
            Its direction, and what it has whatever the stream.
        """

        def less(of: Tensor) -> Tensor:
            return of[..., answer] - (of.mean(-1) if against is None else of[..., against])

        constant = self.logit_constant
        return less(self.read.W_U), None if constant is None else less(constant)

    def _towards(
        self, direction: Float[Tensor, "batch position d_model"], offset: Float[Tensor, "..."] | None
    ) -> dict[Part, Float64[Tensor, "batch position"]]:
        """Return how far each part of the last stream, over its scale, goes in a direction; the offset is bias."""
        weights, trace = self.weights, self.trace
        direction = self.unscaled(direction)
        constant = _sum(weights.b_E, *(self._constant(layer) for layer in range(weights.n_layers)))
        parts = {Part("token"): embedded(weights, weights.W_E[trace.tokens])}
        if weights.positions == "residual":
            parts[Part("position")] = weights.parameter("W_pos")[: trace.tokens.shape[1]]
        if trace.feed_forward is not None:
            parts |= {Part("feed_forward", layer): x for layer, x in enumerate(trace.feed_forward.unbind(1))}
        parts[Part("bias")] = torch.zeros_like(direction[0, 0]) if constant is None else constant
        added = {part: (x * direction).sum(-1) for part, x in parts.items()}
        if offset is not None:
            added[Part("bias")] = added[Part("bias")] + offset
        for layer in range(weights.n_layers):
            axes = "batch position d_model, head d_head d_model -> head batch position d_head"
            asked = einsum(direction, weights.W_O[layer], axes)
            heads = (rearrange(trace.z[:, layer], "batch head ... -> head batch ...") * asked).sum(-1)
            added |= {Part("head", layer, head): x for head, x in enumerate(heads)}
        return {part: x.double() for part, x in added.items()}

    def asked(self, layer: int) -> Float[Tensor, "batch head key d_head"]:
        """Return how much a key's token's logit, less the mean of all, grows with `unscaled` z of a layer's heads."""
        axes = "batch key d_model, head d_head d_model -> batch head key d_head"
        return einsum(self.directions(self.trace.tokens), self.weights.W_O[layer], axes)

    def _constant(self, layer: int) -> Float[Tensor, " d_model"] | None:
        return _sum(attention_constant(self.weights, layer), at(self.weights.ff_value_bias, layer))


def _sum(*parts: Tensor | None) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return reduce(torch.add, known) if known else None
