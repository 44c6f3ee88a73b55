"""The forward pass written out from the weights alone, every intermediate value kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float, Int
from torch import Tensor

from pipeline.circuits.transformer.attention import capped
from pipeline.circuits.transformer.layers import (
    activation_of,
    added,
    at,
    attend,
    attention_output,
    embedded,
    feed_forward,
    normalise,
)
from pipeline.circuits.transformer.weights import Weights

OF_A_LAYER = (
    "ln1_scale",
    "ln2_scale",
    "attention_scale",
    "scores",
    "pattern",
    "z",
    "feed_forward",
)  # what a trace keeps of each


@dataclass(frozen=True)
class Trace:
    """What one forward pass computed. Additive constants (b_V, b_O, ff_value_bias) are only in `resid`.

    A scale is what a norm divided by; None where the model has no such norm.
    """

    weights: Weights
    tokens: Int[Tensor, "batch position"]
    resid: Float[Tensor, "batch depth position d_model"]  # the stream before each layer, and at the end
    embed_scale: Float[Tensor, "batch position"] | None
    ln1_scale: Float[Tensor, "batch layer position"] | None
    ln2_scale: Float[Tensor, "batch layer position"] | None  # kept where norms come after, on the stream itself
    attention_scale: Float[Tensor, "batch layer position"] | None  # of the norm of what attention writes
    scores: Float[Tensor, "batch layer head query key"]  # future keys included, before any cap
    pattern: Float[Tensor, "batch layer head query key"]
    z: Float[Tensor, "batch layer head position d_head"]  # attention-weighted values; z W_O is a head's output
    feed_forward: Float[Tensor, "batch layer position d_model"] | None

    @cached_property
    def logits(self) -> Float[Tensor, "batch position d_vocab_out"]:
        """Of every token of the vocabulary: formed, and kept, where they are asked for."""
        return unembed(self.weights, self.resid[:, -1])

    def of_layer(self, layer: int) -> dict[str, Tensor]:
        """Return what one layer computed, by name, without its axis."""
        computed = {name: getattr(self, name) for name in OF_A_LAYER}
        return {name: value[:, layer] for name, value in computed.items() if value is not None}


def forward(weights: Weights, tokens: Int[Tensor, "batch position"]) -> Trace:
    """Run the transformer on sequences, from its weights and no other code.

    Keeps n_layers * n_heads * position^2 numbers a sequence, twice: pass as many at once as fit.

    Args:
        weights: the transformer.
        tokens: at most n_ctx positions.

    Raises:
        ValueError: more positions than the model has or sees back, a token it does not know, an unknown
            activation.
    """
    check(weights, tokens)
    resid, embed_scale = embed(weights, tokens)
    streams = resid.new_empty(len(resid), weights.n_layers + 1, *resid.shape[1:])
    streams[:, 0] = resid
    traced: dict[str, Tensor] = {}
    for layer in range(weights.n_layers):
        resid, computed = run_layer(weights, resid, layer)
        streams[:, layer + 1] = resid
        for name, value in computed.items():  # one layer's is held twice, and not all of them
            if name not in traced:
                traced[name] = value.new_empty(len(value), weights.n_layers, *value.shape[1:])
            traced[name][:, layer] = value
    return Trace(
        weights=weights,
        tokens=tokens,
        resid=streams,
        embed_scale=embed_scale,
        ln1_scale=traced.get("ln1_scale"),
        ln2_scale=traced.get("ln2_scale"),
        attention_scale=traced.get("attention_scale"),
        scores=traced["scores"],
        pattern=traced["pattern"],
        z=traced["z"],
        feed_forward=traced.get("feed_forward"),
    )


def attention_at(weights: Weights, tokens: Int[Tensor, "batch position"], layer: int) -> dict[str, Tensor]:
    """Return what one layer's attention computes on sequences, as `attend` does; later layers are not run.

    Raises:
        ValueError: as of `forward`.
    """
    check(weights, tokens)
    resid, _ = embed(weights, tokens)
    for earlier in range(layer):
        resid, _ = run_layer(weights, resid, earlier)
    return attend(weights, resid, layer)


def embed(
    weights: Weights, tokens: Int[Tensor, "batch position"]
) -> tuple[Float[Tensor, "batch position d_model"], Float[Tensor, "batch position"] | None]:
    """Return the stream before the first layer, and what the norm of the embedding divided it by."""
    resid = embedded(weights, weights.W_E[tokens])
    if weights.positions == "residual":
        resid = resid + weights.parameter("W_pos")[: tokens.shape[-1]]
    return normalise(weights, added(resid, weights.b_E), weights.ln_embed_gain, weights.ln_embed_bias)


def unembed(weights: Weights, resid: Float[Tensor, "*place d_model"]) -> Float[Tensor, "*place d_vocab_out"]:
    """Return the logits of the stream after the last layer."""
    if weights.W_head is not None:
        resid = activation_of(weights)(resid @ weights.W_head + weights.parameter("b_head"))
    final, _ = normalise(weights, resid, weights.ln_final_gain, weights.ln_final_bias)
    return capped(added(final @ weights.W_U, weights.b_U), weights.logit_cap)


def run_layer(
    weights: Weights,
    resid: Float[Tensor, "batch position d_model"],
    layer: int,
    change: Float[Tensor, "batch position d_model"] | None = None,
    frozen: Float[Tensor, "batch head query key"] | None = None,
    z: Mapping[int, Float[Tensor, "..."]] | None = None,
    attended: Float[Tensor, "batch head position d_head"] | None = None,
    places: Int[Tensor, " place"] | slice = slice(None),
) -> tuple[Float[Tensor, "batch place d_model"], dict[str, Tensor]]:
    """Run one layer.

    Args:
        weights: the transformer.
        resid: the stream before the layer.
        layer: which layer.
        change: what joins the output of its attention; None for nothing.
        frozen: a pattern to attend with in place of its own.
        z: by head, what takes the place of its own; broadcasts to [batch, position, d_head].
        attended: every head's own z, where it is known: the layer does not attend again.
        places: positions whose stream is wanted; all if not given.

    Returns:
        The stream after it, and what it computed, by its name in Trace.
    """
    computed, written = attention_output(weights, resid, layer, frozen, z, attended)
    finish = _after_norms if weights.norm_place == "after" else _before_norms
    return finish(weights, resid[:, places], added(written, change)[:, places], layer, computed)


def _before_norms(
    weights: Weights, resid: Tensor, written: Tensor, layer: int, computed: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Finish a layer whose parts read the normalised stream."""
    after = resid + written
    if weights.ff_keys is None:
        return after, computed
    feed_forward_output = feed_forward(weights, resid if weights.residual == "parallel" else after, layer)
    after = added(after + feed_forward_output, at(weights.ff_value_bias, layer))
    return after, computed | {"feed_forward": feed_forward_output}


def _after_norms(
    weights: Weights, resid: Tensor, written: Tensor, layer: int, computed: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Finish a layer that normalises the stream after each part."""
    ln1_gain, ln2_gain = weights.parameter("ln1_gain")[layer], weights.parameter("ln2_gain")[layer]
    resid, ln1_scale = normalise(weights, resid + written, ln1_gain, at(weights.ln1_bias, layer))
    feed_forward_output = feed_forward(weights, resid, layer)
    written = added(feed_forward_output, at(weights.ff_value_bias, layer))
    resid, ln2_scale = normalise(weights, resid + written, ln2_gain, at(weights.ln2_bias, layer))
    return resid, computed | {
        "ln1_scale": ln1_scale,
        "feed_forward": feed_forward_output,
        "ln2_scale": ln2_scale,
    }


def check(weights: Weights, tokens: Int[Tensor, "batch position"]) -> None:
    """Refuse sequences or weights that cannot be run; ValueError as of `forward`."""
    if weights.W_pos is not None and tokens.shape[-1] > len(weights.W_pos):
        raise ValueError(
            f"sequences of {tokens.shape[-1]} tokens: the model has {len(weights.W_pos)} positions; shorten them"
        )
    if weights.window is not None and tokens.shape[-1] > weights.window:
        raise ValueError(
            f"sequences of {tokens.shape[-1]} tokens: the model's heads see only {weights.window} back; "
            f"set model.n_ctx={weights.window} or less"
        )
    if tokens.max() >= weights.d_vocab:
        raise ValueError(
            f"token {int(tokens.max())}: the model knows {weights.d_vocab}; probe it with its own tokenizer"
        )
    if weights.ff_keys is not None:
        activation_of(weights)
