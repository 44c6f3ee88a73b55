"""Bugs in reading a checkpoint: what is told of it, how its tensors are cut, which are taken."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from einops import rearrange
from torch import Generator, Tensor

from pipeline.circuits.transformer.weights import Weights
from pipeline.models.families.family import Family, Stored, always
from pipeline.models.injected import which
from pipeline.models.injected.bug import Bug

OfConfig = Callable[[Mapping[str, Any]], Mapping[str, Any]]
OfFamily = Callable[[Family], Family]
OfWeights = Callable[[Weights], Weights]


def _rotation(**options: object) -> OfConfig:
    """Say something else of how rotary positions turn."""
    return lambda config: {**config, "rope_parameters": {**config["rope_parameters"], **options}}


def _cut(axes: str, *names: str) -> OfFamily:
    """Cut parameters of each layer otherwise."""

    def wrong(family: Family) -> Family:
        stored = {name: source for name, source in family.layered.items() if isinstance(source, Stored)}
        return replace(family, layered={**family.layered, **{name: replace(stored[name], axes=axes) for name in names}})

    return wrong


def _second_token_type(family: Family) -> Family:
    second = Stored("bert.embeddings.token_type_embeddings.weight", part=1)
    return replace(family, whole={**family.whole, "b_E": second})


def _set(**values: object) -> OfWeights:
    """Give parameters or settings other values."""
    return lambda weights: replace(weights, **values)


def _change(change: Callable[[Tensor], Tensor], *names: str) -> OfWeights:
    """Change parameters, as far as the model has them."""

    def wrong(weights: Weights) -> Weights:
        present = {name: value for name in names if (value := getattr(weights, name)) is not None}
        return replace(weights, **{name: change(value) for name, value in present.items()})

    return wrong


def _swap(*pairs: tuple[str, str]) -> OfWeights:
    """Take each of two parameters for the other."""

    def wrong(weights: Weights) -> Weights:
        others = {name: getattr(weights, other) for pair in pairs for name, other in (pair, pair[::-1])}
        return replace(weights, **others)

    return wrong


def _layers(taken: Callable[[Tensor], Tensor]) -> OfWeights:
    """Take other layers, or the same in another order."""

    def wrong(weights: Weights) -> Weights:
        layers = [vars(weights.one_layer(int(layer))) for layer in taken(torch.arange(weights.n_layers))]
        own = [name for name, value in layers[0].items() if value is not getattr(weights, name)]
        return replace(weights, **{name: torch.cat([layer[name] for layer in layers]) for name in own})

    return wrong


def _transposed(matrix: Tensor) -> Tensor:
    """Read as input by output what is output by input, all heads together."""
    together = rearrange(matrix, "layer head d_model d_head -> layer (head d_head) d_model")
    return rearrange(together, "layer d_model (head d_head) -> layer head d_model d_head", head=matrix.shape[1])


def _component_by_component(W_O: Tensor) -> Tensor:
    together = rearrange(W_O, "layer head d_head d_model -> layer (head d_head) d_model")
    return rearrange(together, "layer (d_head head) d_model -> layer head d_head d_model", head=W_O.shape[1])


def _over_layer(W_Q: Tensor) -> Tensor:
    return torch.stack([layer / (1 + number) for number, layer in enumerate(W_Q)])


def _scores_times(factor: Callable[[Weights], float]) -> OfWeights:
    return lambda weights: _change(lambda tensor: tensor * factor(weights), "W_Q", "b_Q")(weights)


def _new_unembedding(weights: Weights) -> Weights:
    """Leave it as it was initialised."""
    return replace(weights, W_U=torch.randn(weights.W_U.shape, generator=Generator().manual_seed(0)))


def _speeds_of_a_whole_head(weights: Weights) -> Weights:
    frequency = weights.parameter("rotary_frequency")
    return replace(weights, rotary_frequency=frequency ** (2 * len(frequency) / weights.d_head))


def _norms_as_berts(weights: Weights) -> Weights:
    """Place norms after each part, the embedding among them."""
    gain = torch.ones(weights.d_model)
    return replace(weights, norm_place="after", ln_embed_gain=gain, ln_embed_bias=torch.zeros_like(gain))


def _rounded(dtype: torch.dtype) -> OfWeights:
    """Keep parameters in fewer digits."""

    def wrong(weights: Weights) -> Weights:
        tensors = {name: value for name, value in vars(weights).items() if isinstance(value, Tensor)}
        return replace(weights, **{name: value.to(dtype).to(value.dtype) for name, value in tensors.items()})

    return wrong


_NORMS = ("ln1", "ln2", "ln_final", "ln_embed")
_GAINS, _BIASES = ([f"{norm}_{part}" for norm in _NORMS] for part in ("gain", "bias"))
_TILED = "(kv_head d_head) d_model -> (copy kv_head) d_model d_head"
_QKV_FIRST = "(qkv head d_head) d_model -> qkv head d_model d_head"

_HEADS = (
    Bug("W_Q transposed", "terms", which.EVERY, weights=_change(_transposed, "W_Q")),
    Bug("W_V transposed", "terms", which.EVERY, weights=_change(_transposed, "W_V")),
    Bug("W_O transposed", "terms", which.EVERY, weights=_change(lambda W_O: _transposed(W_O.mT).mT, "W_O")),
    Bug("W_O cut component by component", "terms", which.EVERY, weights=_change(_component_by_component, "W_O")),
    Bug("heads of W_O in another order", "terms", which.EVERY, weights=_change(lambda W_O: W_O.flip(1), "W_O")),
    Bug("W_Q and W_K swapped", "terms", which.EVERY, weights=_swap(("W_Q", "W_K"), ("b_Q", "b_K"))),
    Bug("W_K and W_V swapped", "terms", which.EVERY, weights=_swap(("W_K", "W_V"), ("b_K", "b_V"))),
    Bug("W_QKV cut as GPT-2's", "terms", ("gpt_neox",), family=_cut(_QKV_FIRST, "W_Q", "W_K", "W_V")),
    Bug("shared keys and values tiled, not repeated", "terms", which.GROUPED, family=_cut(_TILED, "W_K", "W_V")),
    Bug("shared values tiled, keys repeated", "terms", which.GROUPED, family=_cut(_TILED, "W_V")),
    Bug("scores not over sqrt(d_head)", "terms", which.EVERY, weights=_scores_times(lambda w: w.d_head**0.5)),
    Bug("scores over d_head", "terms", which.EVERY, weights=_scores_times(lambda w: w.d_head**-0.5)),
    Bug("scores over sqrt(d_model)", "terms", which.EVERY, weights=_scores_times(lambda w: w.n_heads**-0.5)),
    Bug("scores over the layer's number", "terms", which.EVERY, weights=_change(_over_layer, "W_Q", "b_Q")),
    Bug("attends to the future", "pattern", which.NORMED_BEFORE, weights=_set(attends="both_ways")),
    Bug("attends back only", "pattern", ("bert",), weights=_set(attends="back")),
)
_CONSTANTS = (
    *(Bug(f"b_{x} dropped", "terms", which.BIASED, weights=_change(torch.zeros_like, f"b_{x}")) for x in "QKVO"),
    *(Bug(f"b_{x} counted twice", "terms", which.BIASED, weights=_change(lambda b: 2 * b, f"b_{x}")) for x in "QKVO"),
    Bug("neurons' biases dropped", "terms", which.BIASED, weights=_change(torch.zeros_like, "ff_key_bias")),
    Bug("gates' biases dropped", "terms", ("llama_biases",), weights=_change(torch.zeros_like, "ff_gate_bias")),
    Bug("feed-forward biases dropped", "terms", which.BIASED, weights=_change(torch.zeros_like, "ff_value_bias")),
    Bug("b_U dropped", "logits", which.BIASED_LOGITS, weights=_set(b_U=None)),
    Bug("token type dropped", "terms", ("bert",), weights=_set(b_E=None)),
    Bug("token type of the second sentence", "terms", ("bert",), family=_second_token_type),
)
_OF_NORMS = (
    Bug("norm centres, and should not", "terms", which.UNCENTRED, weights=_set(norm="layer")),
    Bug("norm does not centre", "terms", which.CENTRED, weights=_set(norm="rms")),
    Bug("eps not read, 1e-5", "terms", (*which.UNCENTRED, "bert"), weights=_set(ln_eps=1e-5)),
    Bug("eps of Llama, 1e-6", "terms", which.CENTRED, weights=_set(ln_eps=1e-6)),
    Bug("gains dropped", "terms", which.GAINED, weights=_change(torch.ones_like, *_GAINS)),
    Bug("gains not counted from one", "terms", which.EMBEDDING_SCALED, weights=_set(gain_from=0.0)),
    Bug("gains counted from one", "terms", which.GAINED, weights=_change(lambda gain: 1 + gain, *_GAINS)),
    Bug("gains folded in and applied too", "terms", which.GAINED, weights=_change(torch.square, *_GAINS)),
    Bug("norms' biases dropped", "terms", which.SHIFTED, weights=_change(torch.zeros_like, *_BIASES)),
    Bug(
        "a layer's norms swapped",
        "terms",
        which.TWO_NORMS,
        weights=_swap(("ln1_gain", "ln2_gain"), ("ln1_bias", "ln2_bias")),
    ),
    Bug("norms after, not before", "terms", which.NORMED_BEFORE, weights=_norms_as_berts),
    Bug("norms before, not after", "terms", ("bert",), weights=_set(norm_place="before")),
    Bug(
        "mean taken from what is written, as before norms that centre",
        "terms",
        which.UNCENTRED,
        weights=_change(lambda matrix: matrix - matrix.mean(-1, keepdim=True), "W_E", "W_O", "ff_values"),
    ),
)
_POSITIONS = (
    Bug("positions dropped", "terms", (*which.LEARNED, *which.ROTARY), weights=_set(positions="none")),
    Bug("positions off by one", "terms", which.LEARNED, weights=_change(lambda W_pos: W_pos.roll(1, 0), "W_pos")),
    Bug("positions in the stream", "terms", which.TOY, weights=_set(positions="residual")),
    Bug("positions in queries and keys only", "terms", which.IN_STREAM, weights=_set(positions="queries_and_keys")),
    Bug("rotary pairs are neighbours", "terms", which.ROTARY, weights=_set(rotary_pairs="neighbours")),
    Bug("rotary turns backwards", "terms", which.ROTARY, weights=_change(torch.neg, "rotary_frequency")),
    Bug("rotary base wrong", "terms", which.ROTARY, config=_rotation(rope_theta=500000.0)),
    Bug(
        "rotary turns half of a head",
        "terms",
        which.WHOLE,
        config=_rotation(partial_rotary_factor=0.5),
    ),
    Bug("rotary turns all of a head", "terms", which.PARTIAL, config=_rotation(partial_rotary_factor=1.0)),
    Bug("rotary speeds of a whole head on a part", "terms", which.PARTIAL, weights=_speeds_of_a_whole_head),
    Bug("rotary scaling ignored", "terms", which.SCALED, config=_rotation(rope_type="default")),
    Bug("rotary scaling of another kind", "terms", ("llama3_positions",), config=_rotation(rope_type="linear")),
)
_ENDS = (
    Bug("unembedding tied, and should not be", "logits", which.UNTIED, family=lambda f: replace(f, tied=always)),
    Bug("unembedding not tied, and should be", "logits", which.TIED, weights=_new_unembedding),
    Bug("map before the unembedding dropped", "logits", ("bert",), weights=_set(W_head=None)),
    Bug("token ids off by one", "terms", which.EVERY, weights=_change(lambda W_E: W_E.roll(1, 0), "W_E")),
    Bug("embedding not times sqrt(d_model)", "terms", which.EMBEDDING_SCALED, weights=_set(embed_scale=1.0)),
    Bug(
        "embedding times sqrt(d_model)",
        "terms",
        which.EVERY,
        weights=lambda w: replace(w, W_E=w.W_E * w.d_model**0.5),
    ),
)
_LAYERS = (
    Bug("layers in another order", "terms", which.EVERY, weights=_layers(lambda layers: layers.flip(0))),
    Bug("every layer the first", "terms", which.EVERY, weights=_layers(torch.zeros_like)),
    Bug("last layer dropped", "logits", which.EVERY, weights=_layers(lambda layers: layers[:-1])),
    Bug("scores not capped", "terms", which.CAPPED, weights=_set(score_cap=None)),
    Bug("logits not capped", "logits", which.CAPPED, weights=_set(logit_cap=None)),
    Bug("queries over sqrt(d_head)", "terms", which.CAPPED, weights=_set(query_scale=1.0)),
    Bug("norm behind attention dropped", "terms", which.CAPPED, weights=_set(ln1_post_gain=None)),
    Bug("norm behind feed-forward parts dropped", "terms", which.CAPPED, weights=_set(ln2_post_gain=None)),
    Bug("parts one after the other", "terms", which.PARALLEL, weights=_set(residual="sequential")),
    Bug("parts side by side", "terms", which.SEQUENTIAL, weights=_set(residual="parallel")),
    Bug("feed-forward parts dropped", "terms", which.NORMED, weights=_change(torch.zeros_like, "ff_values")),
    Bug("gelu by tanh, and should be exact", "terms", which.GELU, weights=_set(activation="gelu_new")),
    Bug("gelu exact, and should be by tanh", "terms", which.GELU_BY_TANH, weights=_set(activation="gelu")),
    Bug("gelu for silu", "terms", which.SILU, weights=_set(activation="gelu")),
    Bug(
        "relu for the activation",
        "terms",
        which.SMOOTH,
        weights=_set(activation="relu"),
    ),
    Bug("gelu for relu", "terms", ("opt",), weights=_set(activation="gelu")),
    Bug("gates left out", "terms", which.GATED, weights=_set(ff_gates=None)),
    Bug("gates and neurons swapped", "terms", which.GATED, weights=_swap(("ff_keys", "ff_gates"))),
    Bug("weights rounded to bfloat16", "terms", which.EVERY, weights=_rounded(torch.bfloat16)),
    Bug("weights rounded to float16", "terms", which.EVERY, weights=_rounded(torch.float16)),
)
OF_READING = (*_HEADS, *_CONSTANTS, *_OF_NORMS, *_POSITIONS, *_ENDS, *_LAYERS)
