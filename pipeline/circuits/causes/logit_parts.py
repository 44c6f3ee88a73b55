"""Who wrote a logit: the last stream as a sum of what was written to it, read through the final norm.

A final norm is linear once its scale is held at the value it had, so that the parts of a logit sum to it.

Source: Wang et al. 2022, "Interpretability in the Wild", direct logit attribution; nostalgebraist 2020, "logit lens".
"""

from functools import reduce

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from pipeline.circuits.transformer.forward import Trace
from pipeline.circuits.transformer.layers import added, at, attention_constant, centre, head_outputs, normalise
from pipeline.circuits.transformer.weights import Weights

Parts = dict[str, Float[Tensor, "batch position d_model"]]
BIAS = "bias"  # every constant that parts add whatever they read


def stream_parts(weights: Weights, trace: Trace) -> Parts:
    """Return what was written to the last stream, which the parts sum to.

    Args:
        weights: the transformer.
        trace: its forward pass.

    Returns:
        `token`, `position` (where it is in the stream), each head (`9.6`), each feed-forward part (`mlp.9`), `bias`.

    Raises:
        ValueError: norms stand on the stream itself, or something stands between the stream and its unembedding.
    """
    if weights.norm_place == "after" or weights.W_head is not None or weights.ln_embed_gain is not None:
        raise ValueError("logit parts: norms stand on the stream itself, so that it is no sum; ask of another model")
    parts: Parts = {"token": weights.W_E[trace.tokens]}
    if weights.positions == "residual":
        parts["position"] = weights.parameter("W_pos")[: trace.tokens.shape[1]].expand_as(parts["token"])
    bias = added(torch.zeros_like(weights.W_E[0]), weights.b_E)
    for layer in range(weights.n_layers):
        written = head_outputs(weights, trace.z[:, layer], layer)
        parts |= {f"{layer}.{head}": output for head, output in enumerate(written.unbind(1))}
        bias = added(added(bias, attention_constant(weights, layer)), at(weights.ff_value_bias, layer))
        if trace.feed_forward is not None:
            parts[f"mlp.{layer}"] = trace.feed_forward[:, layer]
    return parts | {BIAS: bias.expand_as(parts["token"])}


def logit_parts(
    weights: Weights, trace: Trace, answer: int, against: int | None = None
) -> dict[str, Float64[Tensor, "batch position"]]:
    """Return each part's share of one logit less another, or less the mean of all, at every position.

    Args:
        weights: the transformer.
        trace: its forward pass.
        answer: the token whose logit it is.
        against: the token whose logit is taken away; None for the mean over the vocabulary.

    Returns:
        Parts as of `stream_parts`; they sum to the difference of logits. The final norm's bias and b_U are in `bias`.

    Raises:
        ValueError: as of `stream_parts`.
    """
    W_U = weights.W_U.double()
    other = W_U.mean(1) if against is None else W_U[:, against]
    direction = W_U[:, answer] - other
    gain, scale = torch.ones_like(direction), None
    if weights.ln_final_gain is not None:
        gain = weights.ln_final_gain.double()
        _, scale = normalise(weights, trace.resid[:, -1].double(), gain, None)
    parts = {}
    for name, part in stream_parts(weights, trace).items():
        read = part.double() if scale is None else centre(weights, part.double()) / scale[..., None] * gain
        parts[name] = read @ direction
    constants = [weights.ln_final_bias.double() @ direction] if weights.ln_final_bias is not None else []
    if weights.b_U is not None:
        b_U = weights.b_U.double()
        constants.append(b_U[answer] - (b_U.mean() if against is None else b_U[against]))
    parts[BIAS] = reduce(torch.add, constants, parts[BIAS])
    return parts
