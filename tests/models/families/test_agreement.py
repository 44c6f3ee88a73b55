import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_checkpoints import CHECKPOINTS

from pipeline.models.families.agreement import AXES, copies_in, unused_tensors
from pipeline.models.hub import obtain_hub


@pytest.fixture
def obtain(tmp_path):
    return lambda folder, **options: obtain_hub(
        str(folder), options.get("allow_bin", False), tmp_path / "config.json", tmp_path / "model.safetensors"
    )


def changed(folder, tensors=lambda state: state, **config):
    """Change a checkpoint's configuration and its tensors."""
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | config))
    save_file(tensors(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def test_axes_are_those_that_weights_declare():
    assert AXES["W_Q"] == ["layer", "head", "d_model", "d_head"]
    assert AXES["ff_key_bias"] == ["layer", "d_ff"]
    assert "activation" not in AXES


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_of_the_library_agree_with_themselves(name, save, obtain):
    assert obtain(save(name)[0]).unused == ()


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("gpt2", {"n_layer": 2}, r"holds transformer\.h\.2\..*, and config\.json describes no model of 2 layers"),
        ("gpt2", {"n_layer": 10**9}, r"has no tensor transformer\.h\.3\."),
        ("gpt2", {"n_layer": -1}, r"-1 is no number of layers"),
        ("gpt2", {"n_layer": 0}, r"0 is no number of layers"),
        ("gpt2", {"n_head": 0}, r"0 is no number of heads|cannot be used"),
        ("gpt2", {"n_head": -2}, r"-2 is no number of heads"),
        ("gpt2", {"n_embd": 48}, r"W_E has d_model 24, and config\.json 48|d_model 24"),
        ("gpt2", {"n_positions": 10**7}, r"W_pos has n_ctx 32, and config\.json 10000000"),
        ("gpt2", {"n_inner": 50}, r"has d_ff 96, and config\.json 50"),
        ("gpt2", {"layer_norm_epsilon": float("nan")}, "nan is no epsilon of a norm|cannot be used"),
        ("gpt2", {"layer_norm_epsilon": -1e-5}, r"-1e-05 is no epsilon of a norm"),
        ("gpt2", {"activation_function": "mish"}, "activation 'mish' is not one of gelu_new"),
        ("gpt2", {"dtype": "float99"}, "config.json cannot be used|float99"),
        ("gpt2", {"n_layer": [3]}, "cannot be used|no number of layers"),
        ("gpt2", {"model_type": ["gpt2"]}, "is not a known family"),
        ("llama", {"num_hidden_layers": 2}, r"holds model\.layers\.2\..*no model of 2 layers"),
        ("llama", {"num_attention_heads": 2}, "head"),
        ("llama", {"num_key_value_heads": 0}, "cannot be used|no number of kv_heads"),
        ("llama", {"num_key_value_heads": 3}, "head|copy"),
        ("llama", {"hidden_size": 48}, "d_model"),
        ("llama", {"head_dim": 12}, "d_head"),
        ("llama", {"rms_norm_eps": -1.0}, "no epsilon of a norm"),
        ("llama", {"rope_parameters": {"rope_type": "default", "rope_theta": -1.0}}, "rope_parameters|cannot be used"),
        ("llama_biases", {"attention_bias": False}, r"holds model\.layers\.0\.self_attn\.k_proj\.bias, and .*no model"),
        ("bert", {"num_attention_heads": 3, "hidden_size": 30}, "d_model"),
        ("gpt_neox", {"intermediate_size": 7}, "d_ff"),
    ],
)
def test_a_config_of_another_model_is_refused_by_name(name, config, message, save, obtain, tmp_path):
    folder, _ = save(name)
    changed(folder, **config)
    with pytest.raises(ValueError, match=message) as error:
        obtain(folder)
    assert str(error.value).startswith(f"model.path={folder}: ")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("text", ["null", "[]", "3", '"gpt2"'])
def test_a_config_that_is_no_object_is_refused(text, save, obtain):
    folder, _ = save("gpt2")
    (folder / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json holds no options, but"):
        obtain(folder)


GAIN = "transformer.h.1.ln_1.weight"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(24, dtype=torch.complex64), rf"{GAIN} is torch\.complex64, which no parameter is"),
        (torch.ones(24, dtype=torch.int64), rf"{GAIN} is torch\.int64, which no parameter is"),
        (torch.ones(24).to_sparse(), rf"{GAIN} is torch\.sparse_coo; give all its numbers"),
        (torch.ones(25), r"ln1_gain of layer 1 has d_model 25"),
        (torch.ones(24, 1), r"ln1_gain of layer 1 has shape \[24, 1\], not one size for each of d_model"),
    ],
)
def test_a_tensor_of_a_strange_kind_is_refused_by_name(value, message, save, obtain):
    folder, _ = save("gpt2")
    tensors = load_file(folder / "model.safetensors") | {GAIN: value}
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=message):
        obtain(folder, allow_bin=True)


def test_a_tensor_left_over_is_refused_unless_it_is_known_to_be_harmless(save, obtain):
    folder, _ = save("gpt2")
    harmless = {"transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8), "transformer.h.2.attn.masked_bias": torch.ones(1)}
    changed(folder, lambda state: state | harmless)
    assert obtain(folder).unused == tuple(sorted(harmless))
    changed(folder, lambda state: state | {"transformer.h.0.lora.weight": torch.ones(3)})
    with pytest.raises(ValueError, match=r"holds transformer\.h\.0\.lora\.weight, and .*that has such a tensor"):
        obtain(folder)


def test_an_unembedding_that_is_said_to_be_tied_is_the_embedding(save, obtain):
    folder, _ = save("qwen2")
    embedding = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    changed(folder, lambda state: state | {"lm_head.weight": embedding.clone()})
    assert obtain(folder).unused == ("lm_head.weight",)
    changed(folder, lambda state: state | {"lm_head.weight": embedding + 1})
    with pytest.raises(
        ValueError, match=r"lm_head\.weight is model\.embed_tokens\.weight over again, and their numbers"
    ):
        obtain(folder)


def test_nothing_is_read_but_names_and_shapes():
    config = {
        "model_type": "gpt2",
        "n_layer": 1,
        "n_head": 10**3,
        "n_embd": 10**6,
        "n_positions": 7,
        "vocab_size": 10**6,
    }
    width = 10**6
    shapes = {"wte.weight": (width, width), "wpe.weight": (7, width)}
    shapes |= {f"ln_f.{kind}": (width,) for kind in ("weight", "bias")}
    of_layer = {
        "attn.c_attn": ((width, 3 * width), (3 * width,)),
        "attn.c_proj": ((width, width), (width,)),
        "ln_1": ((width,), (width,)),
        "ln_2": ((width,), (width,)),
        "mlp.c_fc": ((width, 4 * width), (4 * width,)),
        "mlp.c_proj": ((4 * width, width), (width,)),
    }
    for name, (weight, bias) in of_layer.items():
        shapes |= {f"h.0.{name}.weight": weight, f"h.0.{name}.bias": bias}
    assert unused_tensors(config, shapes, {"h.0.attn.bias": "torch.uint8"}) == ("h.0.attn.bias",)
    assert copies_in(config) == {"lm_head.weight": "transformer.wte.weight"}
