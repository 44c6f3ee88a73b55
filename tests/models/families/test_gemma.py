import pytest
import torch
from family_checks import EVERY_FAMILY, saved_weights

from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.vocabulary.factors import gains_folded

TOKENS = torch.arange(8)[None]


@pytest.mark.parametrize("check", EVERY_FAMILY)
def test_a_gemma_is_rebuilt(check, save):
    check(save, "gemma")


def test_gains_are_counted_from_one_and_embeddings_multiplied(save):
    _, weights = saved_weights(save, "gemma")
    assert (weights.gain_from, weights.embed_scale, weights.d_head) == (1.0, 24**0.5, 6)
    torch.testing.assert_close(forward(weights, TOKENS).resid[0, 0], 24**0.5 * weights.W_E[:8])
    folded = gains_folded(weights)
    torch.testing.assert_close(folded.W_E, 24**0.5 * weights.W_E)
    torch.testing.assert_close(folded.W_V[1, 2], (1 + weights.ln1_gain[1])[:, None] * weights.W_V[1, 2])
    torch.testing.assert_close(folded.W_U, (1 + weights.ln_final_gain)[:, None] * weights.W_U)
    assert folded.embed_scale == 1
    assert torch.equal(weights.W_U, weights.W_E.T)


def test_attention_both_ways_is_told(save):
    assert saved_weights(save, "gemma", shape={"use_bidirectional_attention": True})[1].attends == "both_ways"
