import pytest
import torch
from family_checks import EVERY_FAMILY
from transformers import GPT2Config, GPT2LMHeadModel

from pipeline.models.families import to_weights


@pytest.mark.parametrize("check", EVERY_FAMILY)
def test_a_gpt2_is_rebuilt(check, save):
    check(save, "gpt2")


@pytest.fixture
def gpt2():
    torch.manual_seed(0)
    config = GPT2Config(n_layer=2, n_head=3, n_embd=12, n_positions=7, vocab_size=11)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


def test_queries_are_those_of_its_own_projection(gpt2):
    weights = to_weights(gpt2.config.to_dict(), gpt2.state_dict().__getitem__)
    resid = torch.randn(5, 12)
    own = gpt2.transformer.h[1].attn.c_attn(resid)  # queries, keys, values; then head-major
    for place, (W, b) in enumerate(
        ((weights.W_Q, weights.b_Q), (weights.W_K, weights.b_K), (weights.W_V, weights.b_V))
    ):
        for head in range(3):
            start = 12 * place + 4 * head
            torch.testing.assert_close(resid @ W[1, head] + b[1, head], own[:, start : start + 4])


def test_output_is_the_sum_over_heads(gpt2):
    weights = to_weights(gpt2.config.to_dict(), gpt2.state_dict().__getitem__)
    z = torch.randn(5, 3, 4)
    own = gpt2.transformer.h[0].attn.c_proj(z.flatten(1))
    ours = sum(z[:, head] @ weights.W_O[0, head] for head in range(3)) + weights.b_O[0]
    torch.testing.assert_close(ours, own)


def test_neurons_are_keys_and_values(gpt2):
    weights = to_weights(gpt2.config.to_dict(), gpt2.state_dict().__getitem__)
    resid = torch.randn(5, 12)
    mlp = gpt2.transformer.h[1].mlp
    hidden = resid @ weights.ff_keys[1].T + weights.ff_key_bias[1]
    torch.testing.assert_close(hidden, mlp.c_fc(resid))
    torch.testing.assert_close(hidden @ weights.ff_values[1] + weights.ff_value_bias[1], mlp.c_proj(hidden))


def test_variants_that_scale_otherwise_are_refused(gpt2):
    config = gpt2.config.to_dict() | {"scale_attn_by_inverse_layer_idx": True}
    with pytest.raises(ValueError, match="scale_attn_by_inverse_layer_idx=True is not supported; only False is"):
        to_weights(config, gpt2.state_dict().__getitem__)
