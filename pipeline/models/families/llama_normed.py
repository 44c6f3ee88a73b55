"""Llamas with LayerNorms: StableLM, StarCoder2, and OLMo, whose norms have no parameters."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

from pipeline.models.families.family import Option, Stored
from pipeline.models.families.llama import LAYERED, LLAMA, MISTRAL

_BIASES = ("b_Q", "b_K", "b_V")
_WHOLE = {**LLAMA.whole, "ln_final_bias": Stored("model.norm.bias")}
_LAYERED: Mapping[str, Stored] = {
    **LAYERED,
    "ln1_bias": Stored("input_layernorm.bias"),
    "ln2_bias": Stored("post_attention_layernorm.bias"),
}


def _biased(option: str, *names: str) -> dict[str, Stored]:
    return {name: replace(_LAYERED[name], when=Option(option)) for name in names}


def _ones(config: Mapping[str, Any]) -> Float32[Tensor, " d_model"]:
    return torch.ones(config["hidden_size"])


STABLELM = replace(
    LLAMA,
    model_types=("stablelm",),
    usual={"qk_layernorm": False, "use_parallel_residual": False},
    settings={"positions": "rotary", "activation": Option("hidden_act"), "ln_eps": Option("layer_norm_eps")},
    whole=_WHOLE,
    layered={**_LAYERED, **_biased("use_qkv_bias", *_BIASES)},
)

STARCODER2 = replace(
    MISTRAL,
    model_types=("starcoder2",),
    settings={**MISTRAL.settings, "norm": "layer", "ln_eps": Option("norm_epsilon")},
    whole=_WHOLE,
    layered={
        **{name: source for name, source in _LAYERED.items() if not name.startswith("ff_gate")},
        **_biased("use_bias", *_BIASES, "b_O"),
        "ff_keys": Stored("mlp.c_fc.weight"),
        "ff_key_bias": Stored("mlp.c_fc.bias", when=Option("use_bias")),
        "ff_values": Stored("mlp.c_proj.weight", "d_model d_ff -> d_ff d_model"),
        "ff_value_bias": Stored("mlp.c_proj.bias", when=Option("use_bias")),
    },
)

OLMO = replace(
    LLAMA,
    model_types=("olmo",),
    usual={"clip_qkv": None},
    settings={"positions": "rotary", "activation": Option("hidden_act"), "ln_eps": 1e-5},
    whole={**LLAMA.whole, "ln_final_gain": _ones},
    layered={**LAYERED, "ln1_gain": _ones, "ln2_gain": _ones},
)
