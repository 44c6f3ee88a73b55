"""Two heads in a row act as one: pattern A2 A1, output W_V1 W_O1 W_V2 W_O2, from the stream to the logits."""

from jaxtyping import Float, Float64, Int
from torch import Tensor

from pipeline.circuits.scores.held import Held
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Head


def virtual_z(held: Held, source: Head, reader: Head) -> Float[Tensor, "batch query d_head"]:
    """What the second head makes of what the first one wrote: A2 (A1 X W_V1) W_O1 W_V2, norms' scales held.

    Args:
        held: a forward pass.
        source: (layer, head) of the first head, 1.
        reader: (layer, head) of the second head, 2, in a later layer.

    Returns:
        Times the second head's W_O, the virtual head's output.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits", virtual heads.
    """
    carried = held.weights.W_O[source] @ held.read.W_V[reader]
    return held.trace.pattern[:, *reader] @ (held.seen(held.trace.z[:, *source], reader[0]) @ carried)


def mixed_z(held: Held, source: Head, reader: Head) -> Float[Tensor, "batch query d_head"]:
    """The notebook's quantity: A2 (A1 X W_V1 W_O1 + X) W_V2, with X the stream the first head reads.

    It adds the second head's own reading of X to the virtual head. Arguments as in `virtual_z`.
    """
    stream = held.seen(held.trace.resid[:, source[0]], reader[0])
    return virtual_z(held, source, reader) + held.trace.pattern[:, *reader] @ (stream @ held.read.W_V[reader])


def norm_share(path: Float[Tensor, "batch position d_model"], layer: Float[Tensor, "batch position d_model"]) -> float:
    """Size of one path's output beside that of the whole layer it ends in: a ratio of Frobenius norms.

    Args:
        path: what the path adds to the stream.
        layer: the sum of all of the layer's heads.

    Returns:
        At least 0, no upper end, because paths may cancel; NaN if the layer adds nothing.
    """
    return float(path.double().norm() / layer.double().norm())


def loss_without(
    logits: Float[Tensor, "batch position d_vocab"],
    path: Float[Tensor, "batch position d_vocab"],
    tokens: Int[Tensor, "batch position"],
) -> Float64[Tensor, " batch"]:
    """Each sentence's mean loss, nats per token, without one path to the logits; patterns and all else as it is.

    The last norm's scale, if there is one, is held too.

    Args:
        logits: the model's.
        path: what the path adds to them.
        tokens: the sentences.
    """
    return token_losses(logits - path, tokens)[:, 1:].mean(-1)
