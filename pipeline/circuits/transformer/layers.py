"""The parts of a layer: norms, attention and feed-forward part, each from the weights and the stream it reads."""

from functools import partial

from einops import einsum
from torch import Tensor
from torch.nn import functional

from pipeline.circuits.transformer.attention import pattern, rotate, scores
from pipeline.circuits.transformer.weights import Weights

ACTIVATIONS = {
    "gelu_new": partial(functional.gelu, approximate="tanh"),
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
}


def added(x: Tensor, constant: Tensor | None) -> Tensor:
    """Return x, with a constant that a family may lack."""
    return x if constant is None else x + constant


def at(parameter: Tensor | None, layer: int) -> Tensor | None:
    """Return one layer of a parameter that a family may lack."""
    return None if parameter is None else parameter[layer]


def normalise(weights: Weights, x: Tensor, gain: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return x [..., d_model] normalised, and the scale [...] it was divided by; x, None without a gain."""
    if gain is None:
        return x, None
    centred = centre(weights, x)
    scale = (centred.square().mean(-1) + weights.ln_eps).sqrt()
    return added(centred / scale[..., None] * gain, bias), scale


def centre(weights: Weights, x: Tensor) -> Tensor:
    """Return x [..., d_model] without its mean over d_model, where the model's norm takes that away."""
    return x if weights.norm == "rms" else x - x.mean(-1, keepdim=True)


def attention_output(
    weights: Weights, resid: Tensor, layer: int, frozen: Tensor | None = None
) -> tuple[dict[str, Tensor], Tensor]:
    """Return what `attend` does, and what the layer's attention adds to the stream, constants included."""
    kept = attend(weights, resid, layer, frozen)
    return kept, added(head_outputs(weights, kept["z"], layer).sum(-3), attention_constant(weights, layer))


def attend(weights: Weights, resid: Tensor, layer: int, frozen: Tensor | None = None) -> dict[str, Tensor]:
    """Return one layer's attention: `scores`, `pattern`, `z` and, with a norm before it, `ln1_scale`, as in Trace.

    Args:
        weights: the transformer.
        resid: [batch, position, d_model], the stream before the layer.
        layer: which layer.
        frozen: [batch, head, query, key], a pattern to attend with in place of the layer's own.
    """
    read, scale = what_heads_read(weights, resid, layer)
    kept = {"scores": scores(queries(weights, read, layer), keys(weights, read, layer))}
    kept["pattern"] = pattern(kept["scores"], weights.attends) if frozen is None else frozen
    kept["z"] = kept["pattern"] @ values(weights, read, layer)
    return kept if scale is None else kept | {"ln1_scale": scale}


def what_heads_read(weights: Weights, resid: Tensor, layer: int) -> tuple[Tensor, Tensor | None]:
    """Return the stream as a layer's heads read it: behind the norm, where one stands before them, and its scale."""
    if weights.norm_place != "before":
        return resid, None
    return normalise(weights, resid, at(weights.ln1_gain, layer), at(weights.ln1_bias, layer))


def queries(weights: Weights, read: Tensor, layer: int) -> Tensor:
    """Return each head's queries [batch, head, position, d_head] of what it reads, [batch, position, d_model]."""
    return _placed(weights, read, weights.W_Q[layer], at(weights.b_Q, layer))


def keys(weights: Weights, read: Tensor, layer: int) -> Tensor:
    """Return each head's keys, as `queries` does."""
    return _placed(weights, read, weights.W_K[layer], at(weights.b_K, layer))


def values(weights: Weights, read: Tensor, layer: int) -> Tensor:
    """Return each head's values, as `queries` does, without b_V."""
    return project(read, weights.W_V[layer], None)


def _placed(weights: Weights, read: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """Return queries or keys, which know their positions wherever these join what is read."""
    if weights.positions == "queries_and_keys":
        read = read + weights.W_pos[: read.shape[-2]]
    return turned(weights, project(read, matrix, bias))


def turned(weights: Weights, x: Tensor) -> Tensor:
    """Return queries or keys [..., position, d_head] rotated by their position, where the model does that."""
    if weights.positions != "rotary":
        return x
    return rotate(x, weights.rotary_frequency, weights.rotary_pairs)


def project(x: Tensor, matrix: Tensor, bias: Tensor | None) -> Tensor:
    """Map x [batch, position, d_model] to each head's space: [batch, head, position, d_head]."""
    mapped = einsum(x, matrix, "batch position d_model, head d_model d_head -> batch head position d_head")
    return mapped if bias is None else mapped + bias[:, None]


def head_outputs(weights: Weights, z: Tensor, layer: int) -> Tensor:
    """Return what each head writes: z [batch, head, position, d_head] -> [batch, head, position, d_model]."""
    return z @ weights.W_O[layer]


def attention_constant(weights: Weights, layer: int) -> Tensor | None:
    """Return [d_model], what a layer's attention adds whatever the input; None without biases.

    Rows of a pattern sum to 1, so values' biases leave the heads unchanged: b_V W_O summed over heads, + b_O.
    """
    moved = None
    if weights.b_V is not None:
        moved = einsum(weights.b_V[layer], weights.W_O[layer], "head d_head, head d_head d_model -> d_model")
    parts = [part for part in (moved, at(weights.b_O, layer)) if part is not None]
    return sum(parts) if parts else None


def feed_forward(weights: Weights, resid: Tensor, layer: int) -> Tensor:
    """Return what a layer's feed-forward part writes, without ff_value_bias: [batch, position, d_model]."""
    x = resid
    if weights.norm_place == "before":
        x, _ = normalise(weights, resid, at(weights.ln2_gain, layer), at(weights.ln2_bias, layer))
    act = ACTIVATIONS[weights.activation]
    neurons = functional.linear(x, weights.ff_keys[layer], at(weights.ff_key_bias, layer))
    if weights.ff_gates is None:
        return act(neurons) @ weights.ff_values[layer]
    gates = functional.linear(x, weights.ff_gates[layer], at(weights.ff_gate_bias, layer))
    return (act(gates) * neurons) @ weights.ff_values[layer]
