import pytest
import torch
from family_checks import EVERY_FAMILY, saved_weights


@pytest.mark.parametrize("check", EVERY_FAMILY)
@pytest.mark.parametrize("name", ["stablelm", "starcoder2", "olmo"])
def test_a_llama_with_layer_norms_is_rebuilt(check, name, save):
    check(save, name)


def test_norms_without_parameters_multiply_by_one(save):
    _, weights = saved_weights(save, "olmo")
    for gain in (weights.ln1_gain, weights.ln2_gain, weights.ln_final_gain):
        assert torch.equal(gain, torch.ones_like(gain))
    assert (weights.ln1_bias, weights.norm) == (None, "layer")


@pytest.mark.parametrize(
    ("name", "option", "biased"),
    [("stablelm", "use_qkv_bias", ("b_Q", "b_K", "b_V")), ("starcoder2", "use_bias", ("b_Q", "b_O", "ff_key_bias"))],
)
def test_an_option_decides_which_biases_there_are(name, option, biased, save):
    for there in (True, False):
        _, weights = saved_weights(save, name, shape={option: there})
        assert [getattr(weights, bias) is not None for bias in biased] == [there] * len(biased)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("stablelm", "use_parallel_residual", True), ("stablelm", "qk_layernorm", True), ("olmo", "clip_qkv", 8.0)],
)
def test_variants_are_refused(name, option, value, save):
    with pytest.raises(ValueError, match=f"{option}={value} is not supported"):
        saved_weights(save, name, shape={option: value})
