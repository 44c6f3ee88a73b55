"""The logits of a model as a sum over paths, its patterns, norms' scales and feed-forward outputs held as they are.

With these held, a head is a linear map of the stream, so the stream after the last layer is the sum
over every way from the embedding to it: through no head, through one, or through one of each of several
layers in a row. A path is named by what it passes in each layer, `direct` or a head. What feed-forward parts write, and
constants, start as the embedding does: they are on the direct path of the layers up to theirs.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits", path expansion and the
losses by order of terms.
"""

from itertools import product

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Float64
from torch import Tensor

from pipeline.circuits.scores.held import Held
from pipeline.circuits.transformer.layers import added
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights

DIRECT = "direct"


def path_names(weights: Weights) -> list[tuple[str, ...]]:
    """List every path by what it passes in each layer: `direct`, or the head as `layer.head`; all direct first."""
    heads = range(weights.n_heads)
    passed = [[DIRECT, *(f"{layer}.{head}" for head in heads)] for layer in range(weights.n_layers)]
    return list(product(*passed))


def path_outputs(held: Held) -> Float[Tensor, "batch path position d_model"]:
    """What each path brings to the end of the stream.

    Args:
        held: a forward pass.

    Returns:
        Paths in the order of `path_names`: (1 + n_heads) ^ n_layers of them, which sum to the last stream.
    """
    paths = rearrange(held.trace.resid[:, 0], "batch position d_model -> batch 1 position d_model")
    for layer in range(held.weights.n_layers):
        through = torch.cat([paths[:, :, None], through_heads(held, paths, layer)], 2)
        paths = rearrange(through, "batch path next position d_model -> batch (path next) position d_model")
        _join(paths, held, layer)
    return paths


def through_heads(
    held: Held, streams: Float[Tensor, "batch path position d_model"], layer: int
) -> Float[Tensor, "batch path head position d_model"]:
    """What each head of a layer makes of some streams; the first is the direct path, and read with the norm's bias."""
    return _attended(held, streams, layer) @ held.weights.W_O[layer]


def _attended(
    held: Held, streams: Float[Tensor, "batch path position d_model"], layer: int
) -> Float[Tensor, "batch path head position d_head"]:
    values = einsum(
        held.seen(streams, layer),
        held.read.W_V[layer],
        "batch path key d_model, head d_model d_head -> batch path head key d_head",
    )
    constant = held.value_constant(layer)
    if constant is not None:
        values[:, 0] += constant[:, None]
    return held.trace.pattern[:, layer][:, None] @ values


def order_streams(held: Held) -> Float[Tensor, "batch order position d_model"]:
    """Return the last stream cut down to the paths through at most so many heads.

    Order 0 is the direct path alone, which predicts from the current token; order n_layers is the whole model.

    Args:
        held: a forward pass of a model of any number of layers.

    Returns:
        Orders from 0 to n_layers.
    """
    trace = held.trace
    orders = torch.zeros_like(trace.resid).index_copy(1, torch.tensor([0]), trace.resid[:, :1])
    for layer in range(held.weights.n_layers):
        # Each order of the stream, read by one more head, is of the order above.
        axes = "batch path head position d_head, head d_head d_model -> batch path position d_model"
        written = einsum(_attended(held, orders[:, :-1], layer), held.weights.W_O[layer], axes)
        orders = torch.cat([orders[:, :1], orders[:, 1:] + written], 1)
        _join(orders, held, layer)
    return orders.cumsum(1)


def order_losses(held: Held) -> Float64[Tensor, "order batch position"]:
    """Return the losses by `order_streams`: nats, as `token_losses` gives them."""
    return torch.stack([stream_losses(held, stream) for stream in order_streams(held).unbind(1)])


def stream_losses(held: Held, stream: Float[Tensor, "batch position d_model"]) -> Float64[Tensor, "batch position"]:
    """Return the losses if this were the last stream."""
    return token_losses(added(held.logits(stream), held.logit_constant), held.trace.tokens)


def _join(streams: Float[Tensor, "batch path position d_model"], held: Held, layer: int) -> None:
    """Let what a layer writes besides its heads join the first stream, the direct path."""
    besides = held.besides_heads(layer)
    if besides is not None:
        streams[:, 0] += besides
