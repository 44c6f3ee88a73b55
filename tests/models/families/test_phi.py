import pytest
import torch
from family_checks import EVERY_FAMILY, saved_weights


@pytest.mark.parametrize("check", EVERY_FAMILY)
@pytest.mark.parametrize("name", ["phi", "phi3"])
def test_a_phi_is_rebuilt(check, name, save):
    check(save, name)


def test_queries_keys_and_values_are_rows_of_one_matrix(save):
    model, weights = saved_weights(save, "phi3")
    resid = torch.randn(5, 24)
    own = model.model.layers[1].self_attn.qkv_proj(resid).split(6, -1)  # four of queries, two of keys, two of values
    for head in range(4):
        for side, place in (("Q", head), ("K", 4 + head // 2), ("V", 6 + head // 2)):
            torch.testing.assert_close(resid @ getattr(weights, f"W_{side}")[1, head], own[place])


def test_gates_come_before_neurons(save):
    model, weights = saved_weights(save, "phi3")
    resid = torch.randn(5, 24)
    gates, neurons = model.model.layers[1].mlp.gate_up_proj(resid).chunk(2, -1)
    torch.testing.assert_close(resid @ weights.ff_gates[1].T, gates)
    torch.testing.assert_close(resid @ weights.ff_keys[1].T, neurons)


def test_one_norm_serves_both_parts_and_logits_have_a_bias(save):
    model, weights = saved_weights(save, "phi")
    assert torch.equal(weights.ln1_gain, weights.ln2_gain)
    assert weights.residual == "parallel"
    assert torch.equal(weights.b_U, model.lm_head.bias)


def test_norms_of_queries_and_keys_are_refused(save):
    with pytest.raises(ValueError, match="qk_layernorm=True is not supported; only False is"):
        saved_weights(save, "phi", shape={"qk_layernorm": True})
