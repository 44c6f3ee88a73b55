import pytest
import torch
from family_checks import EVERY_FAMILY, saved_weights


@pytest.mark.parametrize("check", EVERY_FAMILY)
@pytest.mark.parametrize("name", ["gpt_neox", "gpt_neox_sequential"])
def test_a_gpt_neox_is_rebuilt(check, name, save):
    check(save, name)


def test_heads_are_fused_head_by_head(save):
    model, weights = saved_weights(save, "gpt_neox")
    resid = torch.randn(5, 24)
    own = model.gpt_neox.layers[1].attention.query_key_value(resid)
    for head in range(4):
        for place, side in enumerate("QKV"):
            start = 6 * (3 * head + place)
            W, b = getattr(weights, f"W_{side}")[1, head], getattr(weights, f"b_{side}")[1, head]
            torch.testing.assert_close(resid @ W + b, own[:, start : start + 6])


def test_options_decide_biases_and_what_feed_forward_parts_read(save):
    without, parallel = (saved_weights(save, name)[1] for name in ("gpt_neox_sequential", "gpt_neox"))
    assert (without.b_Q, without.b_O, without.residual) == (None, None, "sequential")
    assert (parallel.b_Q.shape, parallel.b_O.shape, parallel.residual) == ((3, 4, 6), (3, 24), "parallel")
    assert without.ff_value_bias.shape == (3, 24)  # these are there whatever attention has
