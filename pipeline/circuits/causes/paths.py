"""The logits of an attention-only model as a sum over paths, its patterns held as they are.

With patterns held, a head is a linear map of the stream, so the stream after the last layer is the sum
over every way from the embedding to it: through no head, through one, or through one of each of several
layers in a row. A path is named by what it passes in each layer, `direct` or a head.

Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits", path expansion and the
losses by order of terms.
"""

from itertools import product

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Float64
from torch import Tensor

from pipeline.circuits.transformer.forward import Trace, unembed
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights

DIRECT = "direct"
# What a stream passes that is no head, or adds whatever the stream is: with any of these, paths do not add up.
_BESIDES_HEADS = ("ln1_gain", "ln2_gain", "ln_final_gain", "ff_keys", "W_head", "b_V", "b_O", "b_U")


def adds_up(weights: Weights) -> bool:
    """Whether the model's logits are a sum over paths: no norms, feed-forward parts or biases of what is written."""
    return all(getattr(weights, name) is None for name in _BESIDES_HEADS)


def path_names(weights: Weights) -> list[tuple[str, ...]]:
    """List every path by what it passes in each layer: `direct`, or the head as `layer.head`; all direct first."""
    heads = range(weights.n_heads)
    passed = [[DIRECT, *(f"{layer}.{head}" for head in heads)] for layer in range(weights.n_layers)]
    return list(product(*passed))


def path_outputs(weights: Weights, trace: Trace) -> Float[Tensor, "batch path position d_model"]:
    """What each path brings to the end of the stream.

    Args:
        weights: a model whose paths add up.
        trace: its forward pass.

    Returns:
        Paths in the order of `path_names`: (1 + n_heads) ^ n_layers of them, which sum to the last stream. Times
        W_U, the paths' logits.

    Raises:
        ValueError: the model has norms, feed-forward parts or biases.
    """
    _refuse(weights)
    paths = rearrange(trace.resid[:, 0], "batch position d_model -> batch 1 position d_model")
    for layer in range(weights.n_layers):
        through = torch.cat([paths[:, :, None], through_heads(weights, trace, paths, layer)], 2)
        paths = rearrange(through, "batch path next position d_model -> batch (path next) position d_model")
    return paths


def through_heads(
    weights: Weights, trace: Trace, streams: Float[Tensor, "batch path position d_model"], layer: int
) -> Float[Tensor, "batch path head position d_model"]:
    """What each head of a layer makes of some streams, its pattern held.

    Args:
        weights: the transformer, without norms.
        trace: the forward pass that the patterns come from.
        streams: what the heads read.
        layer: which layer.
    """
    values = einsum(
        streams, weights.W_V[layer], "batch path key d_model, head d_model d_head -> batch path head key d_head"
    )
    return trace.pattern[:, layer][:, None] @ values @ weights.W_O[layer]


def order_losses(weights: Weights, trace: Trace) -> Float64[Tensor, "order batch position"]:
    """Losses of the model cut down to the paths through at most so many heads.

    Order 0 is the direct path alone, which predicts from the current token; order n_layers is the whole model.

    Args:
        weights: a model whose paths add up, of any number of layers.
        trace: its forward pass.

    Returns:
        Nats, as `token_losses` gives them; orders from 0 to n_layers.

    Raises:
        ValueError: the model has norms, feed-forward parts or biases.
    """
    _refuse(weights)
    orders = torch.zeros_like(trace.resid).index_copy(1, torch.tensor([0]), trace.resid[:, :1])
    for layer in range(weights.n_layers):
        # Each order of the stream, read by one more head, is of the order above.
        written = through_heads(weights, trace, orders[:, :-1], layer).sum(2)
        orders = torch.cat([orders[:, :1], orders[:, 1:] + written], 1)
    streams = orders.cumsum(1).unbind(1)
    return torch.stack([token_losses(unembed(weights, stream), trace.tokens) for stream in streams])


def _refuse(weights: Weights) -> None:
    besides = [name for name in _BESIDES_HEADS if getattr(weights, name) is not None]
    if besides:
        raise ValueError(f"paths do not add up in a model with {besides[0]}: leave its paths out (see adds_up)")
