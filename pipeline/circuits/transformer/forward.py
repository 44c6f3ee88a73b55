"""The forward pass written out from the weights alone, every intermediate value kept."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.circuits.transformer.layers import ACTIVATIONS, added, at, attention_output, feed_forward, normalise
from pipeline.circuits.transformer.weights import Weights

OF_A_LAYER = ("ln1_scale", "ln2_scale", "scores", "pattern", "z", "feed_forward")  # what a trace keeps of each


@dataclass(frozen=True)
class Trace:
    """What one forward pass computed. Additive constants (b_V, b_O, ff_value_bias) are only in `resid`.

    A scale is what a norm divided by; None where the model has no such norm.
    """

    tokens: Tensor  # [batch, position]
    resid: Tensor  # [batch, layer + 1, position, d_model], the stream before each layer, and at the end
    embed_scale: Tensor | None  # [batch, position]
    ln1_scale: Tensor | None  # [batch, layer, position]
    ln2_scale: Tensor | None  # [batch, layer, position], kept where norms come after, on the stream itself
    scores: Tensor  # [batch, layer, head, query, key], future keys included
    pattern: Tensor  # [batch, layer, head, query, key]
    z: Tensor  # [batch, layer, head, position, d_head], attention-weighted values; z W_O is a head's output
    feed_forward: Tensor | None  # [batch, layer, position, d_model]
    logits: Tensor  # [batch, position, d_vocab]

    def of_layer(self, layer: int) -> dict[str, Tensor]:
        """Return what one layer computed, by name, without its axis."""
        kept = {name: getattr(self, name) for name in OF_A_LAYER}
        return {name: value[:, layer] for name, value in kept.items() if value is not None}


def forward(weights: Weights, tokens: Tensor) -> Trace:
    """Run the transformer on sequences, from its weights and no other code.

    Keeps n_layers * n_heads * position^2 numbers a sequence, twice: pass as many at once as fit.

    Args:
        weights: the transformer.
        tokens: [batch, position], int64, at most n_ctx positions.

    Raises:
        ValueError: more positions than the model has or sees back, a token it does not know, an unknown
            activation.
    """
    check(weights, tokens)
    resid, embed_scale = embed(weights, tokens)
    streams, layers = [resid], []
    for layer in range(weights.n_layers):
        resid, kept = run_layer(weights, resid, layer)
        streams.append(resid)
        layers.append(kept)
    kept = {name: torch.stack([values[name] for values in layers], 1) for name in layers[0]}
    return Trace(
        tokens=tokens,
        resid=torch.stack(streams, 1),
        embed_scale=embed_scale,
        ln1_scale=kept.get("ln1_scale"),
        ln2_scale=kept.get("ln2_scale"),
        scores=kept["scores"],
        pattern=kept["pattern"],
        z=kept["z"],
        feed_forward=kept.get("feed_forward"),
        logits=unembed(weights, resid),
    )


def embed(weights: Weights, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the stream before the first layer, and what the norm of the embedding divided it by."""
    resid = weights.W_E[tokens]
    if weights.positions == "residual":
        resid = resid + weights.W_pos[: tokens.shape[-1]]
    resid = resid if weights.b_E is None else resid + weights.b_E
    return normalise(weights, resid, weights.ln_embed_gain, weights.ln_embed_bias)


def unembed(weights: Weights, resid: Tensor) -> Tensor:
    """Return the logits [batch, position, d_vocab] of the stream after the last layer."""
    if weights.W_head is not None:
        resid = ACTIVATIONS[weights.activation](resid @ weights.W_head + weights.b_head)
    final, _ = normalise(weights, resid, weights.ln_final_gain, weights.ln_final_bias)
    logits = final @ weights.W_U
    return logits if weights.b_U is None else logits + weights.b_U


def run_layer(
    weights: Weights, resid: Tensor, layer: int, change: Tensor | None = None, frozen: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """Run one layer.

    Args:
        weights: the transformer.
        resid: [batch, position, d_model], the stream before the layer.
        layer: which layer.
        change: [batch, position, d_model], what joins the output of its attention; None for nothing.
        frozen: [batch, head, query, key], a pattern to attend with in place of its own.

    Returns:
        The stream after it, and what it computed, by its name in Trace.
    """
    kept, written = attention_output(weights, resid, layer, frozen)
    finish = _after_norms if weights.norm_place == "after" else _before_norms
    return finish(weights, resid, added(written, change), layer, kept)


def _before_norms(
    weights: Weights, resid: Tensor, written: Tensor, layer: int, kept: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Finish a layer whose parts read the normalised stream."""
    after = resid + written
    if weights.ff_keys is not None:
        kept["feed_forward"] = feed_forward(weights, resid if weights.residual == "parallel" else after, layer)
        after = added(after + kept["feed_forward"], at(weights.ff_value_bias, layer))
    return after, kept


def _after_norms(
    weights: Weights, resid: Tensor, written: Tensor, layer: int, kept: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Finish a layer that normalises the stream after each part."""
    gain, bias = at(weights.ln1_gain, layer), at(weights.ln1_bias, layer)
    resid, kept["ln1_scale"] = normalise(weights, resid + written, gain, bias)
    kept["feed_forward"] = feed_forward(weights, resid, layer)
    written = added(kept["feed_forward"], at(weights.ff_value_bias, layer))
    gain, bias = at(weights.ln2_gain, layer), at(weights.ln2_bias, layer)
    resid, kept["ln2_scale"] = normalise(weights, resid + written, gain, bias)
    return resid, kept


def check(weights: Weights, tokens: Tensor) -> None:
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
    if weights.ff_keys is not None and weights.activation not in ACTIVATIONS:
        raise ValueError(
            f"activation {weights.activation!r} is not one of {', '.join(ACTIVATIONS)}; add it to layers.py"
        )
