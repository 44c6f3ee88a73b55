import math

import pytest
import torch

from pipeline.circuits.transformer.losses import divergences, in_context_learning, losses_of, token_losses


def test_even_logits_lose_the_logarithm_of_the_vocabulary():
    losses = token_losses(torch.zeros(2, 4, 10), torch.randint(0, 10, (2, 4)))
    assert losses[:, 0].isnan().all()
    torch.testing.assert_close(losses[:, 1:], torch.full((2, 3), math.log(10), dtype=torch.float64))


def test_the_loss_stands_where_the_predicted_token_stands():
    logits = torch.zeros(1, 3, 5)
    logits[0, 1, 4] = 30  # position 1 is sure that 4 follows
    losses = token_losses(logits, torch.tensor([[0, 2, 4]]))
    assert losses[0, 1].item() == pytest.approx(math.log(5))
    assert losses[0, 2].item() == pytest.approx(0, abs=1e-9)


def test_in_context_learning_is_the_late_loss_minus_the_early_one():
    losses = torch.tensor([[math.nan, 5.0, 4.0, 9.0, 1.0], [math.nan, 7.0, 4.0, 9.0, 3.0]], dtype=torch.float64)
    # Of five positions, the first 40 % are 0 and 1, the last 20 % is 4; nothing predicts position 0.
    assert in_context_learning(losses, (0.0, 0.4), (0.8, 1.0)).item() == 2.0 - 6.0
    assert in_context_learning(losses, (0.0, 0.2), (0.8, 1.0)).isnan()


def test_a_divergence_is_0_of_equals_and_counts_by_what_was_likely():
    """Of two tokens, 3 : 1 and 1 : 1."""
    p = torch.tensor([[[0.75, 0.25]]], dtype=torch.float64).log()
    known = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    torch.testing.assert_close(divergences(p, torch.zeros(1, 1, 2)), torch.tensor([[known]], dtype=torch.float64))
    torch.testing.assert_close(divergences(p, 7 + p), torch.zeros(1, 1, dtype=torch.float64))


def test_losses_of_float32_logits_are_those_of_their_float64_softmax():
    logits = 40 * torch.randn(3, 5, 5000, generator=torch.Generator().manual_seed(0))
    following = logits[..., :9].argmin(-1)  # likely and unlikely tokens
    exact = -logits.log_softmax(-1, dtype=torch.float64).gather(-1, following[..., None])[..., 0]
    torch.testing.assert_close(losses_of(logits, following), exact, rtol=0, atol=3e-7)
    torch.testing.assert_close(losses_of(logits.double(), following), exact, rtol=0, atol=1e-12)
