import pytest
import torch
from family_checks import EVERY_FAMILY, saved_weights

from pipeline.circuits.transformer.forward import forward

LLAMAS = ["llama", "llama_biases", "llama_wide_heads"]
ROTARY = ["llama3_positions", "linear_positions"]


@pytest.mark.parametrize("check", EVERY_FAMILY)
@pytest.mark.parametrize("name", [*LLAMAS, *ROTARY, "mistral", "qwen2"])
def test_a_llama_is_rebuilt(check, name, save):
    check(save, name)


@pytest.mark.parametrize("name", [*LLAMAS, "mistral", "qwen2"])
def test_heads_that_share_keys_and_values_have_their_own_copies(name, save):
    model, weights = saved_weights(save, name)
    attention, resid, d_head = model.model.layers[2].self_attn, torch.randn(5, 24), weights.d_head
    for head in range(4):
        for side, place in (("Q", head), ("K", head // 2), ("V", head // 2)):
            own = getattr(attention, f"{side.lower()}_proj")(resid)[:, place * d_head : (place + 1) * d_head]
            bias = getattr(weights, f"b_{side}")
            ours = resid @ getattr(weights, f"W_{side}")[2, head] + (0 if bias is None else bias[2, head])
            torch.testing.assert_close(ours, own)
    z = torch.randn(5, 4, d_head)
    written = sum(z[:, head] @ weights.W_O[2, head] for head in range(4))
    torch.testing.assert_close(written + (0 if weights.b_O is None else weights.b_O[2]), attention.o_proj(z.flatten(1)))


@pytest.mark.parametrize(
    ("name", "biased"),
    [
        ("llama", set()),
        ("llama_biases", {"b_Q", "b_K", "b_V", "b_O", "ff_key_bias", "ff_gate_bias", "ff_value_bias"}),
        ("mistral", set()),
        ("qwen2", {"b_Q", "b_K", "b_V"}),
    ],
)
def test_options_and_families_decide_which_biases_there_are(name, biased, save):
    _, weights = saved_weights(save, name)
    values = vars(weights).items()
    assert {field for field, value in values if value is not None and ("bias" in field or field[:2] == "b_")} == biased


@pytest.mark.parametrize(("layers", "window"), [(3, None), (1, 12)])
def test_a_window_counts_where_some_layer_has_it(layers, window, save):
    shape = {"use_sliding_window": True, "sliding_window": 12, "max_window_layers": layers}
    assert saved_weights(save, "qwen2", shape=shape)[1].window == window


def test_a_window_shorter_than_the_sequence_is_refused(save):
    _, weights = saved_weights(save, "mistral")
    with pytest.raises(ValueError, match=r"the model's heads see only 12 back; set model\.n_ctx=12"):
        forward(weights, torch.zeros(1, 13, dtype=torch.long))
