"""Losses straight from the last residual stream: in training, most of a small model's work."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

ROWS = 512  # at a time; their logits stay in the processor's cache, and the result is the same whatever they are


class OutputLosses(torch.autograd.Function):
    """Unembed and take the losses, keeping the probabilities in the stream's format instead of two copies in float32.

    With p the probabilities, the gradient of token i's loss by its logits is p_i, less 1 at the token itself: it is
    kept in place of the logits, so that the backward pass is two products and nothing else.
    """

    @staticmethod
    def forward(
        ctx,
        resid: Float[Tensor, "token d_model"],
        W_U: Float[Tensor, "d_vocab d_model"],
        targets: Int[Tensor, " token"],
    ) -> Float[Tensor, " token"]:
        """Return -log p of each target, nats, in float32 or better; at most 87, where float32's numbers end.

        Args:
            ctx: what the backward pass needs.
            resid: the last residual stream.
            W_U: the unembedding, in the stream's format, as linear layers keep it.
            targets: ids of the tokens to predict.
        """
        errors = resid.new_empty(len(resid), len(W_U))  # gradients by the logits
        losses, fine = [], torch.promote_types(resid.dtype, torch.float32)
        for kept, stream, truth in zip(
            errors.split(ROWS), resid.split(ROWS), targets[:, None].split(ROWS), strict=True
        ):
            probabilities = (stream @ W_U.mT).softmax(-1, dtype=fine)
            of_truth = probabilities.gather(1, truth)
            losses.append(-of_truth[:, 0].clamp_min(torch.finfo(torch.float32).tiny).log())
            kept.copy_(probabilities.scatter_(1, truth, of_truth - 1))
        ctx.save_for_backward(errors, resid, W_U)
        return torch.cat(losses)

    @staticmethod
    def backward(ctx, by_loss: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the gradients by `resid` and `W_U`."""
        errors, resid, W_U = ctx.saved_tensors
        weight = by_loss[:, None].to(resid.dtype)
        return errors @ W_U * weight, errors.mT @ (resid * weight), None
