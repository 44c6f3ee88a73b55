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
from functools import reduce

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.circuits.transformer.attention import scores
from pipeline.circuits.transformer.layers import (
    as_it_joins,
    attention_constant,
    centre,
    embedded,
    head_outputs,
    multiplied_by,
    project,
    scaled,
    turned,
)
from pipeline.circuits.transformer.weights import Weights

# By source: what it gives the stream; what it gives queries and keys, of one head or of several.
Sources = dict[str, Float[Tensor, "batch position d_model"]]
QueriesKeys = dict[str, tuple[Float[Tensor, "*heads position d_head"], Float[Tensor, "*heads position d_head"]]]


def streams(sources: QueriesKeys) -> QueriesKeys:
    """Merge sources into `stream` (all that depends on tokens), `position` and `bias`, as the notebook does."""
    apart = {name: pair for name, pair in sources.items() if name in ("position", "bias")}
    together = [pair for name, pair in sources.items() if name not in apart]
    return {
        "stream": (reduce(torch.add, [query for query, _ in together]), reduce(torch.add, [key for _, key in together]))
    } | apart


def terms(sources: QueriesKeys) -> Iterator[tuple[str, str, Float[Tensor, "... query key"]]]:
    """Yield (query source, key source, scores) for every pair, one at a time.

    The scores of all pairs sum to the layer's scores.
    """
    for query_source, (query, _) in sources.items():
        for key_source, (_, key) in sources.items():
            yield query_source, key_source, scores(query, key)


def first_sources(
    weights: Weights, tokens: Int[Tensor, "batch position"], scale: Float[Tensor, "batch position"] | None
) -> Sources:
    """Return the sources of the stream before the first layer; `scale` is what the embedding's norm divided by."""
    sources = {"token": embedded(weights, weights.W_E[tokens])}
    if weights.positions == "residual":
        sources["position"] = _positions(weights, tokens)
    sources = _with_constant(sources, weights.b_E)
    return _normalised(weights, sources, scale, weights.ln_embed_gain, weights.ln_embed_bias)


def after_layer(alone: Weights, sources: Sources, computed: dict[str, Tensor], layer: int) -> Sources:
    """Return the sources of the stream after a layer: what it wrote, and its constants.

    Args:
        alone: the transformer with this layer alone.
        sources: those of the stream before it.
        computed: of the forward pass: `z` and, as far as the model has them, the other parts of a Trace.
        layer: its number; layer 0's heads are sources one by one.
    """
    if layer == 0:
        written = as_it_joins(alone, head_outputs(alone, computed["z"], 0), 0, computed.get("attention_scale"))
        sources = sources | {f"0.{head}": written[:, head] for head in range(alone.n_heads)}
    else:
        axes = "batch head position d_head, head d_head d_model -> batch position d_model"
        written = einsum(computed["z"], alone.W_O[0], axes)
        written = as_it_joins(alone, written, 0, computed.get("attention_scale"))
        sources = sources | {f"attention.{layer}": written}
    sources = _with_constant(sources, attention_constant(alone, 0))
    if alone.norm_place == "after":
        sources = _normalised(alone, sources, computed["ln1_scale"], *_norm(alone, "ln1"))
    if "feed_forward" in computed:
        sources = sources | {f"mlp.{layer}": computed["feed_forward"]}
    sources = _with_constant(sources, None if alone.ff_value_bias is None else alone.ff_value_bias[0])
    if alone.norm_place == "after":
        sources = _normalised(alone, sources, computed["ln2_scale"], *_norm(alone, "ln2"))
    return sources


def early_layers_merged(sources: Sources, layer: int, apart: int) -> Sources:
    """Return the sources that heads of a layer are told apart by, given those of the stream before it.

    Args:
        sources: some may have been merged for an earlier layer.
        layer: which layer; after layer 1 all heads of layer 0 are one source.
        apart: how many layers before it keep sources of their own; those of the layers before them are one
            source for attention and one for feed-forward parts.
    """
    last = layer - apart - 1  # the last layer that is merged
    fewer: Sources = {}
    for name, written in sources.items():
        writer, _, place = name.partition(".")
        if writer == "0" and layer > 1:
            writer, place = "attention", "0"
        if writer in ("attention", "mlp") and int(place.split("-")[-1]) <= last:
            place = f"0-{last}" if last > 0 else "0"
        name = f"{writer}.{place}" if place else writer
        fewer[name] = fewer[name] + written if name in fewer else written
    return fewer


def sources_read(alone: Weights, sources: Sources, scale: Float[Tensor, "batch position"] | None) -> Sources:
    """Return what queries and keys of the only layer read of each source of the stream; constants come last."""
    if alone.norm_place == "before":
        sources = _normalised(alone, sources, scale, *_norm(alone, "ln1"))
    if alone.positions == "queries_and_keys":
        sources = sources | {"position": _positions(alone, sources["token"])}
    constants = {name: read for name, read in sources.items() if name == "bias"}
    return {name: read for name, read in sources.items() if name != "bias"} | constants


def queries_keys(alone: Weights, read: Sources, heads: slice = slice(None)) -> QueriesKeys:
    """Map what is read of each source to queries and keys of heads of the only layer; b_Q and b_K join `bias`.

    Returns:
        source: queries and keys, [batch, head, position, d_head] each.
    """
    W_Q, W_K = alone.W_Q[0][heads], alone.W_K[0][heads]
    sources = {name: (project(x, W_Q, None), project(x, W_K, None)) for name, x in read.items()}
    if alone.b_Q is not None:
        like = sources["token"][0]
        b_Q, b_K = (bias[0][heads, None].expand_as(like) for bias in (alone.b_Q, alone.parameter("b_K")))
        query, key = sources.get("bias", (0, 0))
        sources["bias"] = (query + b_Q, key + b_K)
    return {name: (turned(alone, scaled(alone, query)), turned(alone, key)) for name, (query, key) in sources.items()}


def _positions(weights: Weights, like: Tensor) -> Float[Tensor, "batch position d_model"]:
    """Return the learned positions of sequences [batch, position, ...]."""
    return weights.parameter("W_pos")[: like.shape[1]].expand(len(like), -1, -1)


def _with_constant(sources: Sources, constant: Float[Tensor, " d_model"] | None) -> Sources:
    """Add a constant to the source `bias`."""
    if constant is None:
        return sources
    return sources | {"bias": sources.get("bias", 0) + constant.expand_as(sources["token"])}


def _norm(alone: Weights, name: str) -> tuple[Tensor | None, Tensor | None]:
    """Return gain and bias [d_model] of the only layer's norm, as far as it has them."""
    gain, bias = getattr(alone, f"{name}_gain"), getattr(alone, f"{name}_bias")
    return None if gain is None else gain[0], None if bias is None else bias[0]


def _normalised(
    weights: Weights,
    sources: Sources,
    scale: Float[Tensor, "batch position"] | None,
    gain: Float[Tensor, " d_model"] | None,
    bias: Float[Tensor, " d_model"] | None,
) -> Sources:
    """Apply a norm, its scale held, to each source; its bias joins `bias`; as they are without a norm."""
    if scale is None or gain is None:
        return sources
    gain = multiplied_by(weights, gain)
    sources = {name: centre(weights, x) / scale[..., None] * gain for name, x in sources.items()}
    return _with_constant(sources, bias)
