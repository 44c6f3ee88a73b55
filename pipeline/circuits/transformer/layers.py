"""The parts of a layer: norms, attention and feed-forward part, each from the weights and the stream it reads."""

from collections.abc import Callable, Mapping
from functools import partial

from einops import einsum
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pipeline.circuits.transformer.attention import capped, pattern, rotate, scores
from pipeline.circuits.transformer.weights import Weights

ACTIVATIONS = {
    "gelu_new": partial(functional.gelu, approximate="tanh"),
    "gelu_pytorch_tanh": partial(functional.gelu, approximate="tanh"),
    "gelu": functional.gelu,
    "relu": functional.relu,
    "silu": functional.silu,
}


def added(x: Float[Tensor, "..."], constant: Float[Tensor, "..."] | None) -> Float[Tensor, "..."]:
    """Return x, with a constant that a family may lack."""
    return x if constant is None else x + constant


def at(parameter: Float[Tensor, "layer ..."] | None, layer: int) -> Float[Tensor, "..."] | None:
    """Return one layer of a parameter that a family may lack."""
    return None if parameter is None else parameter[layer]


def activation_of(weights: Weights) -> Callable[[Tensor], Tensor]:
    """Return the function that the feed-forward neurons apply.

    Raises:
        ValueError: it is none that is known here.
    """
    if weights.activation not in ACTIVATIONS:
        raise ValueError(
            f"activation {weights.activation!r} is not one of {', '.join(ACTIVATIONS)}; add it to layers.py"
        )
    return ACTIVATIONS[weights.activation]


def embedded(weights: Weights, rows: Float[Tensor, "*place d_model"]) -> Float[Tensor, "*place d_model"]:
    """Return rows of W_E as the stream has them."""
    return rows if weights.embed_scale == 1 else rows * weights.embed_scale


def normalise(
    weights: Weights,
    x: Float[Tensor, "*place d_model"],
    gain: Float[Tensor, " d_model"] | None,
    bias: Float[Tensor, " d_model"] | None,
) -> tuple[Float[Tensor, "*place d_model"], Float[Tensor, "*place"] | None]:
    """Return x normalised, and the scale it was divided by; x, None without a gain."""
    if gain is None:
        return x, None
    centred = centre(weights, x)
    scale = (centred.square().mean(-1) + weights.ln_eps).sqrt()
    return added(centred / scale[..., None] * multiplied_by(weights, gain), bias), scale


def multiplied_by(weights: Weights, gain: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Return what a norm with this gain multiplies by."""
    return gain + weights.gain_from if weights.gain_from else gain


def centre(weights: Weights, x: Float[Tensor, "*place d_model"]) -> Float[Tensor, "*place d_model"]:
    """Return x without its mean over d_model, where the model's norm takes that away."""
    return x if weights.norm == "rms" else x - x.mean(-1, keepdim=True)


def attention_output(
    weights: Weights,
    resid: Float[Tensor, "batch position d_model"],
    layer: int,
    frozen: Float[Tensor, "batch head query key"] | None = None,
    z: Mapping[int, Float[Tensor, "..."]] | None = None,
    attended: Float[Tensor, "batch head position d_head"] | None = None,
) -> tuple[dict[str, Tensor], Float[Tensor, "batch position d_model"]]:
    """Return what `attend` does, and what the layer's attention adds to the stream, constants included.

    Where `z` has a head, this takes the place of the head's own; `attended` as of `run_layer`.
    """
    computed = attend(weights, resid, layer, frozen) if attended is None else {"z": attended.clone()}
    for head, other in (z or {}).items():
        computed["z"][:, head] = other
    axes = "batch head position d_head, head d_head d_model -> batch position d_model"
    written = added(einsum(computed["z"], weights.W_O[layer], axes), attention_constant(weights, layer))
    written, scale = normalise(weights, written, at(weights.ln1_post_gain, layer), None)
    return computed if scale is None else computed | {"attention_scale": scale}, written


def as_it_joins(
    weights: Weights,
    written: Float[Tensor, "batch *parts position d_model"],
    layer: int,
    scale: Float[Tensor, "batch position"] | None,
) -> Float[Tensor, "batch *parts position d_model"]:
    """Return part of what a layer's attention writes as it joins the stream: behind the norm there, its scale held.

    No family that has this norm has biases in attention.
    """
    if scale is None:
        return written
    gain = multiplied_by(weights, weights.parameter("ln1_post_gain")[layer])
    return over(written, scale) * gain


def over(
    x: Float[Tensor, "batch *parts position width"], scale: Float[Tensor, "batch position"]
) -> Float[Tensor, "..."]:
    """Return x [batch, ..., position, width] divided by each position's scale."""
    return x / scale.view(len(scale), *[1] * (x.ndim - 3), -1, 1)


def attend(
    weights: Weights,
    resid: Float[Tensor, "batch position d_model"],
    layer: int,
    frozen: Float[Tensor, "batch head query key"] | None = None,
) -> dict[str, Tensor]:
    """Return one layer's attention: `scores`, `pattern`, `z` and, with a norm before it, `ln1_scale`, as in Trace.

    Args:
        weights: the transformer.
        resid: the stream before the layer.
        layer: which layer.
        frozen: a pattern to attend with in place of the layer's own.
    """
    read, scale = what_heads_read(weights, resid, layer)
    computed = {"scores": scores(queries(weights, read, layer), keys(weights, read, layer))}
    read_by_softmax = capped(computed["scores"], weights.score_cap)
    computed["pattern"] = pattern(read_by_softmax, weights.attends) if frozen is None else frozen
    computed["z"] = computed["pattern"] @ values(weights, read, layer)
    return computed if scale is None else computed | {"ln1_scale": scale}


def what_heads_read(
    weights: Weights, resid: Float[Tensor, "batch position d_model"], layer: int
) -> tuple[Float[Tensor, "batch position d_model"], Float[Tensor, "batch position"] | None]:
    """Return the stream as a layer's heads read it: behind the norm, where one stands before them, and its scale."""
    if weights.norm_place != "before":
        return resid, None
    return normalise(weights, resid, at(weights.ln1_gain, layer), at(weights.ln1_bias, layer))


def queries(
    weights: Weights, read: Float[Tensor, "batch position d_model"], layer: int
) -> Float[Tensor, "batch head position d_head"]:
    """Return each head's queries, of what it reads."""
    query = _placed(weights, read, weights.W_Q[layer], at(weights.b_Q, layer))
    return scaled(weights, query)


def scaled(weights: Weights, query: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return queries as scores read them, but for 1/sqrt(d_head)."""
    return query if weights.query_scale == 1 else query * weights.query_scale


def keys(
    weights: Weights, read: Float[Tensor, "batch position d_model"], layer: int
) -> Float[Tensor, "batch head position d_head"]:
    """Return each head's keys, of what it reads."""
    return _placed(weights, read, weights.W_K[layer], at(weights.b_K, layer))


def values(
    weights: Weights, read: Float[Tensor, "batch position d_model"], layer: int
) -> Float[Tensor, "batch head position d_head"]:
    """Return each head's values, of what it reads, without b_V."""
    return project(read, weights.W_V[layer], None)


def _placed(
    weights: Weights,
    read: Float[Tensor, "batch position d_model"],
    matrix: Float[Tensor, "head d_model d_head"],
    bias: Float[Tensor, "head d_head"] | None,
) -> Float[Tensor, "batch head position d_head"]:
    """Return queries or keys, which know their positions wherever these join what is read."""
    if weights.positions == "queries_and_keys":
        read = read + weights.parameter("W_pos")[: read.shape[-2]]
    return turned(weights, project(read, matrix, bias))


def turned(weights: Weights, x: Float[Tensor, "... position d_head"]) -> Float[Tensor, "... position d_head"]:
    """Return queries or keys rotated by their position, where the model does that."""
    if weights.positions != "rotary":
        return x
    return rotate(x, weights.parameter("rotary_frequency"), weights.rotary_pairs)


def project(
    x: Float[Tensor, "batch position d_model"],
    matrix: Float[Tensor, "head d_model d_head"],
    bias: Float[Tensor, "head d_head"] | None,
) -> Float[Tensor, "batch head position d_head"]:
    """Map x to each head's space."""
    mapped = einsum(x, matrix, "batch position d_model, head d_model d_head -> batch head position d_head")
    return mapped if bias is None else mapped + bias[:, None]


def head_outputs(
    weights: Weights, z: Float[Tensor, "batch head position d_head"], layer: int
) -> Float[Tensor, "batch head position d_model"]:
    """Return what each head writes, of its attention-weighted values z."""
    return z @ weights.W_O[layer]


def attention_constant(weights: Weights, layer: int) -> Float[Tensor, " d_model"] | None:
    """Return what a layer's attention adds whatever the input; None without biases.

    Rows of a pattern sum to 1, so values' biases leave the heads unchanged: b_V W_O summed over heads, + b_O.
    """
    b_O = at(weights.b_O, layer)
    if weights.b_V is None:
        return b_O
    moved = einsum(weights.b_V[layer], weights.W_O[layer], "head d_head, head d_head d_model -> d_model")
    return added(moved, b_O)


def feed_forward(weights: Weights, resid: Float[Tensor, "... d_model"], layer: int) -> Float[Tensor, "... d_model"]:
    """Return what a layer's feed-forward part writes, without ff_value_bias, behind any norm there."""
    written = neuron_activations(weights, resid, layer) @ weights.parameter("ff_values")[layer]
    return normalise(weights, written, at(weights.ln2_post_gain, layer), None)[0]


def neuron_activations(weights: Weights, resid: Float[Tensor, "... d_model"], layer: int) -> Float[Tensor, "... d_ff"]:
    """Return how strongly each feed-forward neuron of a layer answers to the stream that its part reads."""
    x = resid
    if weights.norm_place == "before":
        x, _ = normalise(weights, resid, at(weights.ln2_gain, layer), at(weights.ln2_bias, layer))
    activation = activation_of(weights)
    neurons = functional.linear(x, weights.parameter("ff_keys")[layer], at(weights.ff_key_bias, layer))
    if weights.ff_gates is None:
        return activation(neurons)
    gates = functional.linear(x, weights.ff_gates[layer], at(weights.ff_gate_bias, layer))
    return activation(gates) * neurons
