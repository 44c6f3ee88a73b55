import pytest
import torch
from family_checks import EVERY_FAMILY, saved_weights

from pipeline.circuits.causes.ablation import written_by
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.vocabulary.factors import gains_folded

TOKENS = torch.arange(8)[None]


@pytest.mark.parametrize("check", EVERY_FAMILY)
@pytest.mark.parametrize("name", ["gemma", "gemma2"])
def test_a_gemma_is_rebuilt(check, name, save):
    check(save, name)


def test_heads_of_a_gemma_2_add_up_behind_their_norm(save):
    """What each head adds to the stream, and the feed-forward part, sum to what a layer changes of it."""
    _, weights = saved_weights(save, "gemma2")
    trace = forward(weights.double(), TOKENS)
    for layer in range(weights.n_layers):
        heads = sum(written_by(weights.double(), trace, (layer, head)) for head in range(weights.n_heads))
        torch.testing.assert_close(
            trace.resid[:, layer] + heads + trace.feed_forward[:, layer], trace.resid[:, layer + 1]
        )


def test_what_a_gemma_2_says_of_itself_is_read(save):
    _, weights = saved_weights(save, "gemma2")
    assert (weights.score_cap, weights.logit_cap, weights.window) == (2.0, 1.5, 12)
    assert weights.query_scale == pytest.approx((6 / 7) ** 0.5)
    assert forward(weights, TOKENS).logits.abs().max() < 1.5
    folded = gains_folded(weights)
    torch.testing.assert_close(folded.W_O[1, 2], weights.W_O[1, 2] * (1 + weights.ln1_post_gain[1]))
    torch.testing.assert_close(folded.ff_values[1], weights.ff_values[1] * (1 + weights.ln2_post_gain[1]))


@pytest.mark.parametrize("option", ["attn_logit_softcapping", "final_logit_softcapping"])
def test_without_a_cap_nothing_is_capped(option, save):
    _, weights = saved_weights(save, "gemma2", shape={option: None})
    assert {weights.score_cap, weights.logit_cap} == {None, 1.5 if option.startswith("attn") else 2.0}


def test_biases_before_a_norm_are_refused(save):
    with pytest.raises(ValueError, match="attention_bias=True is not supported; only False is"):
        saved_weights(save, "gemma2", shape={"attention_bias": True})


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
