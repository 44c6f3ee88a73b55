"""The loss of each prediction."""

import einops
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor
from torch.nn import functional

BLOCK = 64  # float32 exponentials that are added up before float64 takes over, which is slow


def token_losses(
    logits: Float[Tensor, "batch position d_vocab"], tokens: Int[Tensor, "batch position"]
) -> Float64[Tensor, "batch position"]:
    """Negative log-likelihood of every token, given those before it, in nats.

    The loss stands at the position of the token predicted; NaN at position 0, which nothing predicts.
    """
    return functional.pad(losses_of(logits[:, :-1], tokens[:, 1:]), (1, 0), value=torch.nan)


def losses_of(logits: Float[Tensor, "*place d_vocab"], following: Int[Tensor, "*place"]) -> Float64[Tensor, "*place"]:
    """Negative log-likelihood of each token under its own logits, in nats.

    Of float32 logits it is exact to some 1e-7: their exponentials are float32, and their sum but for a few at a time is
    not, since a float64 copy of the logits of a large vocabulary costs more than the logits.
    """
    if logits.ndim > 2:  # a sentence at a time, which the caches hold
        return torch.stack([losses_of(part, own) for part, own in zip(logits, following, strict=True)])
    largest = logits.amax(-1, keepdim=True)
    shares = (logits - largest).exp_()
    blocked = shares.shape[-1] // BLOCK * BLOCK
    total = shares[..., blocked:].sum(-1, dtype=torch.float64)
    total += shares[..., :blocked].unflatten(-1, (blocked // BLOCK, BLOCK)).sum(-1).sum(-1, dtype=torch.float64)
    own = logits.gather(-1, einops.rearrange(following, "... -> ... 1"))
    return total.log() - einops.rearrange(own.double() - largest.double(), "... 1 -> ...")


def divergences(
    log_probabilities: Float64[Tensor, "batch position d_vocab"], logits: Float[Tensor, "batch position d_vocab"]
) -> Float64[Tensor, "batch position"]:
    """KL(p || q) of every prediction, in nats: of the log-probabilities of p and the logits of q."""
    other = logits.log_softmax(-1, dtype=torch.float64)
    divergence = functional.kl_div(other, log_probabilities, reduction="none", log_target=True).sum(-1)
    return divergence.clamp(min=0)  # below it is only rounding


def in_context_learning(
    losses: Float64[Tensor, "batch position"], early: tuple[float, float], late: tuple[float, float]
) -> Float64[Tensor, ""]:
    """Mean loss late in a sequence minus mean loss early; below 0 where earlier tokens help.

    Args:
        losses: of `token_losses`.
        early: from and to, as shares of the sequence, between which positions count as early.
        late: the same for late ones.

    Returns:
        One number, nats; NaN where a part holds no position that is predicted.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads": position 500 minus position 50
    of 512. Here positions are averaged over a stretch, which needs fewer sequences.
    """
    length = losses.shape[-1]
    at_first, at_last = (losses[:, round(start * length) : round(end * length)] for start, end in (early, late))
    return at_last.nanmean() - at_first.nanmean()
