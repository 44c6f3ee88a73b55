"""Losses and gradients taken at once: held to torch's cross entropy and to finite differences."""

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from pipeline.models.output_losses import ROWS, OutputLosses


def drawn(tokens: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    generator = Generator().manual_seed(0)
    resid = torch.randn(tokens, 6, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    W_U = torch.randn(11, 6, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()
    return resid, W_U, torch.randint(11, (tokens,), generator=generator)


def test_gradients_are_those_of_finite_differences() -> None:
    resid, W_U, targets = drawn(5, torch.float64)
    assert torch.autograd.gradcheck(lambda *given: OutputLosses.apply(*given, targets), (resid, W_U))


def test_equals_cross_entropy_whatever_each_loss_weighs_and_across_parts() -> None:
    resid, W_U, targets = drawn(2 * ROWS + 3, torch.float64)
    weights = torch.rand(len(resid), generator=Generator().manual_seed(1), dtype=torch.float64)
    losses = OutputLosses.apply(resid, W_U, targets)
    known = F.cross_entropy(resid @ W_U.mT, targets, reduction="none")
    torch.testing.assert_close(losses, known)
    mine = torch.autograd.grad(losses @ weights, (resid, W_U))
    torch.testing.assert_close(mine, torch.autograd.grad(known @ weights, (resid, W_U)))


def test_in_bfloat16_is_as_near_as_bfloat16_allows() -> None:
    resid, W_U, targets = drawn(300, torch.bfloat16)
    losses = OutputLosses.apply(resid, W_U, targets)
    assert losses.dtype == torch.float32
    exact = [tensor.detach().double().requires_grad_() for tensor in (resid, W_U)]
    known = F.cross_entropy(exact[0] @ exact[1].mT, targets, reduction="none")
    assert (losses - known).abs().max() < 0.05  # logits up to 8 are rounded to an 8-bit mantissa
    mine = torch.autograd.grad(losses.mean(), (resid, W_U))
    for near, true in zip(mine, torch.autograd.grad(known.mean(), exact), strict=True):
        assert (near - true).norm() < 0.01 * true.norm()


def test_a_hopeless_token_has_a_finite_loss() -> None:
    resid, W_U = torch.tensor([[1000.0]]), torch.tensor([[1.0], [-1.0]])
    loss = OutputLosses.apply(resid, W_U, torch.tensor([1]))
    assert 87 < loss < 88
