from dataclasses import replace

import pytest
import torch

from pipeline.models.families import LLAMA
from pipeline.models.families.family import Family, Option, Stored
from pipeline.models.families.lazy_weights import LazyWeights

FAMILY = Family(
    model_types=("small",),
    sizes={"layer": 2, "head": Option("heads")},
    settings={"positions": "none", "window": lambda config: 2 * config["heads"]},
    prefix="base.",
    older={".gain": ".gamma"},
    tied=Option("tied", False),
    whole={
        "W_E": Stored("base.E"),
        "W_U": Stored("U", "d_vocab d_model -> d_model d_vocab", tied="base.E"),
        "ln_final_gain": Stored("base.last.gain"),
        "rotary_frequency": lambda config: torch.full((1,), float(config["heads"])),
    },
    layer="base.{layer}.",
    layered={
        "W_Q": Stored("q", "(head d_head) d_model -> head d_model d_head"),
        "b_Q": Stored("b", "(head d_head) -> head d_head", when=Option("biased", False)),
    },
)
TENSORS = {
    "base.E": torch.arange(15.0).reshape(5, 3),
    "U": torch.zeros(5, 3),
    "base.last.gain": torch.ones(3),
    "base.0.q": torch.arange(12.0).reshape(4, 3),
    "base.1.q": torch.arange(12.0, 24.0).reshape(4, 3),
}


def lazy(tensors=TENSORS, family=FAMILY, **config):
    return LazyWeights(family, {"heads": 2} | config, tensors.__getitem__)


def test_nothing_is_read_before_it_is_asked_for():
    asked = []
    weights = LazyWeights(FAMILY, {"heads": 2}, lambda name: asked.append(name) or TENSORS[name])
    assert (weights.settings, weights.sizes) == ({"positions": "none", "window": 4}, {"layer": 2, "head": 2})
    parts = weights.each()
    assert asked == []
    seen = []
    for name, layer, _ in parts:
        seen.append((name, layer, list(asked)))
        asked.clear()
    # by name, then layer; each step read its own tensor and no other
    assert seen == [
        ("W_E", None, ["base.E"]),
        ("W_Q", 0, ["base.0.q"]),
        ("W_Q", 1, ["base.1.q"]),
        ("W_U", None, ["U"]),
        ("ln_final_gain", None, ["base.last.gain"]),
        ("rotary_frequency", None, []),
    ]


def test_patterns_turn_their_axes_into_ours():
    W_Q = lazy().tensor("W_Q", 1)
    assert torch.equal(W_Q[1], TENSORS["base.1.q"][2:].T)  # head 1 is the last two rows
    assert torch.equal(lazy(tied=True).tensor("W_U"), TENSORS["base.E"].T)
    assert torch.equal(lazy(tied=False).tensor("W_U"), TENSORS["U"].T)


def test_what_an_option_turns_on_is_read_only_then():
    assert "b_Q" not in lazy().layered
    tensors = TENSORS | {f"base.{layer}.b": torch.arange(4.0) for layer in range(2)}
    assert torch.equal(lazy(tensors, biased=True).tensor("b_Q", 0), torch.tensor([[0.0, 1.0], [2.0, 3.0]]))


@pytest.mark.parametrize("name", ["base.last.gain", "last.gain", "base.last.gamma", "last.gamma"])
def test_names_without_prefix_and_the_oldest_names_are_found(name):
    older = {own: value for own, value in TENSORS.items() if own != "base.last.gain"} | {name: torch.full((3,), 7.0)}
    assert torch.equal(lazy(older).tensor("ln_final_gain"), torch.full((3,), 7.0))


def test_a_tensor_that_is_missing_is_named():
    with pytest.raises(ValueError, match=r"the checkpoint has no tensor base\.1\.q; was it saved whole\?"):
        lazy({name: value for name, value in TENSORS.items() if name != "base.1.q"}).tensor("W_Q", 1)


def test_a_shape_that_the_configuration_contradicts_is_one_line():
    with pytest.raises(
        ValueError, match=r"base\.0\.q has shape \[4, 3\], which does not divide into .*'head': 3"
    ) as error:
        lazy(heads=3).tensor("W_Q", 0)
    assert "\n" not in str(error.value)


def test_loading_stacks_layers():
    def read(name):
        sizes = {"q_proj": (8, 4), "k_proj": (4, 4), "v_proj": (4, 4), "o_proj": (4, 8), "down_proj": (4, 3)}
        shape = next((size for part, size in sizes.items() if part in name), (4,) if "norm" in name else (3, 4))
        return torch.full(shape, float(name.split(".")[2]) if "layers" in name else 9.0)

    config = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 8}
    config |= {"hidden_act": "silu", "rms_norm_eps": 1e-6, "tie_word_embeddings": True}
    weights = LazyWeights(LLAMA, config | {"rope_parameters": {"rope_theta": 10.0}}, read).load()
    assert weights.W_K.shape == (2, 4, 4, 2)
    assert (weights.W_K[1] == 1).all()
    assert (weights.W_K[0] == 0).all()
    assert (weights.ln_eps, weights.norm, weights.b_Q) == (1e-6, "rms", None)


def test_some_rows_of_a_tensor_and_what_config_alone_tells():
    family = replace(
        FAMILY,
        whole={**FAMILY.whole, "W_E": Stored("base.E", rows=lambda config: slice(config["heads"], None))},
        layered={**FAMILY.layered, "ln1_gain": lambda config: torch.ones(config["heads"])},
    )
    weights = lazy(family=family)
    assert torch.equal(weights.tensor("W_E"), TENSORS["base.E"][2:])
    assert torch.equal(weights.tensor("ln1_gain", 1), torch.ones(2))
