"""Every head's scores as a sum of terms, one for each pair of what fed the query and what fed the key.

The input of queries and keys is a sum of sources, and a score is bilinear in it, so it is the sum over
all pairs (source of the query, source of the key) of one term each. Layer norm is linear once its scale
is held at the value it had: each source is centred, divided by that scale, and multiplied by the gain. So
are rotary positions: each source's queries and keys are turned by their positions, which are then no
source of their own.

Sources: `token` (the embedding), `position`, heads of layer 0 one by one at layer 1 (`0.3`), all heads
of an earlier layer together further up (`attention.L`), feed-forward parts (`mlp.L`), and `bias`, every
constant: b_Q or b_K, layer norm's bias, and what earlier layers add whatever their input. In deep models
what the first layers wrote can be merged (`attention.0-5`, `mlp.0-5`).

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; positions on their own:
Press et al. 2021, "Shortformer"; rotated: Su et al. 2021, "RoFormer".
"""

from collections.abc import Iterator

from einops import einsum
from torch import Tensor

from pipeline.circuits.transformer.attention import scores
from pipeline.circuits.transformer.forward import Trace
from pipeline.circuits.transformer.layers import attention_constant, centre, head_outputs, project, turned
from pipeline.circuits.transformer.weights import Weights

Parts = dict[str, Tensor]  # source: what it gives the stream, [batch, position, d_model]
Sides = dict[str, tuple[Tensor, Tensor]]  # source: what it gives queries and keys, [..., position, d_head]


def sources(weights: Weights, trace: Trace, layer: int) -> Parts:
    """Split the input of one layer's queries and keys, after layer norm, by what wrote it.

    Args:
        weights: the transformer.
        trace: its forward pass.
        layer: which layer.

    Returns:
        source: [batch, position, d_model]. They sum to the input. `bias` has no b_Q and b_K, which are
        added later; it is there if any constant is.
    """
    parts = first_parts(weights, trace.tokens, trace.embed_scale)
    for earlier in range(layer):
        parts = after_layer(weights.one_layer(earlier), parts, trace.of_layer(earlier), earlier)
        parts = merged(parts, earlier + 1, apart=weights.n_layers)
    return read_parts(weights.one_layer(layer), parts, trace.of_layer(layer).get("ln1_scale"))


def queries_and_keys(weights: Weights, trace: Trace, layer: int) -> Sides:
    """Return what each source contributes to one layer's queries and keys, [batch, head, position, d_head]."""
    return projected(weights.one_layer(layer), sources(weights, trace, layer))


def streams(sides: Sides) -> Sides:
    """Merge sources into `stream` (all that depends on tokens), `position` and `bias`, as the notebook does."""
    kept = {name: pair for name, pair in sides.items() if name in ("position", "bias")}
    others = [pair for name, pair in sides.items() if name not in kept]
    return {"stream": (sum(query for query, _ in others), sum(key for _, key in others))} | kept


def terms(sides: Sides) -> Iterator[tuple[str, str, Tensor]]:
    """Yield (query source, key source, scores [..., query, key]) for every pair, one at a time.

    The scores of all pairs sum to the layer's scores.
    """
    for query_source, (query, _) in sides.items():
        for key_source, (_, key) in sides.items():
            yield query_source, key_source, scores(query, key)


def first_parts(weights: Weights, tokens: Tensor, scale: Tensor | None) -> Parts:
    """Return the sources of the stream before the first layer; `scale` is what the embedding's norm divided by."""
    parts = {"token": weights.W_E[tokens]}
    if weights.positions == "residual":
        parts["position"] = _positions(weights, tokens)
    parts = _with_constant(parts, weights.b_E)
    return _normalised(weights, parts, scale, weights.ln_embed_gain, weights.ln_embed_bias)


def after_layer(one: Weights, parts: Parts, kept: dict[str, Tensor], layer: int) -> Parts:
    """Return the sources of the stream after a layer: what it wrote, and its constants.

    Args:
        one: the transformer with this layer alone.
        parts: the sources of the stream before it.
        kept: of the forward pass: `z` and, as far as the model has them, `feed_forward`, `ln1_scale`, `ln2_scale`.
        layer: its number; layer 0's heads are sources one by one.
    """
    if layer == 0:
        written = head_outputs(one, kept["z"], 0)
        parts = parts | {f"0.{head}": written[:, head] for head in range(one.n_heads)}
    else:
        axes = "batch head position d_head, head d_head d_model -> batch position d_model"
        parts = parts | {f"attention.{layer}": einsum(kept["z"], one.W_O[0], axes)}
    parts = _with_constant(parts, attention_constant(one, 0))
    if one.norm_place == "after":
        parts = _normalised(one, parts, kept["ln1_scale"], *_norm(one, "ln1"))
    if "feed_forward" in kept:
        parts = parts | {f"mlp.{layer}": kept["feed_forward"]}
    parts = _with_constant(parts, None if one.ff_value_bias is None else one.ff_value_bias[0])
    if one.norm_place == "after":
        parts = _normalised(one, parts, kept["ln2_scale"], *_norm(one, "ln2"))
    return parts


def merged(parts: Parts, layer: int, apart: int) -> Parts:
    """Return the sources that heads of a layer are told apart by, given those of the stream before it.

    Args:
        parts: the sources; some may have been merged for an earlier layer.
        layer: which layer; after layer 1 all heads of layer 0 are one source.
        apart: how many layers before it keep sources of their own; those of the layers before them are one
            source for attention and one for feed-forward parts.
    """
    last = layer - apart - 1  # the last layer that is merged
    result = {}
    for name, x in parts.items():
        kind, _, place = name.partition(".")
        if kind == "0" and layer > 1:
            kind, place = "attention", "0"
        if kind in ("attention", "mlp") and int(place.split("-")[-1]) <= last:
            place = f"0-{last}" if last > 0 else "0"
        name = f"{kind}.{place}" if place else name
        result[name] = result[name] + x if name in result else x
    return result


def read_parts(one: Weights, parts: Parts, scale: Tensor | None) -> Parts:
    """Return what queries and keys of the only layer read of each source of the stream; constants come last."""
    if one.norm_place == "before":
        parts = _normalised(one, parts, scale, *_norm(one, "ln1"))
    if one.positions == "queries_and_keys":
        parts = parts | {"position": _positions(one, parts["token"])}
    constants = {name: x for name, x in parts.items() if name == "bias"}
    return {name: x for name, x in parts.items() if name != "bias"} | constants


def projected(one: Weights, parts: Parts, heads: slice = slice(None)) -> Sides:
    """Map what is read of each source to queries and keys of the only layer; b_Q and b_K join `bias`.

    Returns:
        source: queries and keys, [batch, head, position, d_head] each.
    """
    matrices = (one.W_Q[0][heads], one.W_K[0][heads])
    sides = {name: tuple(project(x, matrix, None) for matrix in matrices) for name, x in parts.items()}
    if one.b_Q is not None:
        found = sides.get("bias", (0, 0))
        constants = (bias[0][heads, None].expand_as(sides["token"][0]) for bias in (one.b_Q, one.b_K))
        sides["bias"] = tuple(a + b for a, b in zip(found, constants, strict=True))
    return {name: (turned(one, query), turned(one, key)) for name, (query, key) in sides.items()}


def _positions(weights: Weights, like: Tensor) -> Tensor:
    """Return the learned positions of sequences [batch, position, ...]."""
    return weights.W_pos[: like.shape[1]].expand(len(like), -1, -1)


def _with_constant(parts: Parts, constant: Tensor | None) -> Parts:
    """Add a constant [d_model] to the source `bias`."""
    if constant is None:
        return parts
    return parts | {"bias": parts.get("bias", 0) + constant.expand_as(parts["token"])}


def _norm(one: Weights, name: str) -> tuple[Tensor | None, Tensor | None]:
    """Return gain and bias [d_model] of the only layer's norm, as far as it has them."""
    found = (getattr(one, f"{name}_{part}") for part in ("gain", "bias"))
    return tuple(None if part is None else part[0] for part in found)


def _normalised(
    weights: Weights, parts: Parts, scale: Tensor | None, gain: Tensor | None, bias: Tensor | None
) -> Parts:
    """Apply a norm, its scale held, to each source; its bias joins `bias`."""
    if scale is None:
        return parts
    parts = {name: centre(weights, x) / scale[..., None] * gain for name, x in parts.items()}
    return _with_constant(parts, bias)
