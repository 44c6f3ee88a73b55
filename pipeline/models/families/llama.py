"""Llama, Mistral and Qwen2: rotary positions, RMS norms, gated feed-forward parts, shared keys and values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.models.families.family import Family, Option, Stored, always
from pipeline.models.families.rotary import rotary_frequencies

_BIASED, _FF_BIASED = Option("attention_bias", False), Option("mlp_bias", False)
# Heads that share keys and values each get their own copy, side by side.
_W_SHARED = "(kv_head d_head) d_model -> (kv_head copy) d_model d_head"
_B_SHARED = "(kv_head d_head) -> (kv_head copy) d_head"


def copies(config: Mapping[str, Any]) -> int:
    """Return how many heads share the same keys and values."""
    return config["num_attention_heads"] // config["num_key_value_heads"]


def head_width(config: Mapping[str, Any]) -> int:
    """Return d_head, which need not be d_model / n_heads."""
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def window(config: Mapping[str, Any]) -> int | None:
    """Return how many keys a query sees where fewer than all, in any layer."""
    if "sliding_attention" not in config.get("layer_types", ["sliding_attention"]):
        return None
    return config.get("sliding_window")


LAYERED: Mapping[str, Stored] = {
    "W_Q": Stored("self_attn.q_proj.weight", "(head d_head) d_model -> head d_model d_head"),
    "W_K": Stored("self_attn.k_proj.weight", _W_SHARED),
    "W_V": Stored("self_attn.v_proj.weight", _W_SHARED),
    "W_O": Stored("self_attn.o_proj.weight", "d_model (head d_head) -> head d_head d_model"),
    "b_Q": Stored("self_attn.q_proj.bias", "(head d_head) -> head d_head", when=_BIASED),
    "b_K": Stored("self_attn.k_proj.bias", _B_SHARED, when=_BIASED),
    "b_V": Stored("self_attn.v_proj.bias", _B_SHARED, when=_BIASED),
    "b_O": Stored("self_attn.o_proj.bias", when=_BIASED),
    "ln1_gain": Stored("input_layernorm.weight"),
    "ln2_gain": Stored("post_attention_layernorm.weight"),
    "ff_keys": Stored("mlp.up_proj.weight"),
    "ff_key_bias": Stored("mlp.up_proj.bias", when=_FF_BIASED),
    "ff_gates": Stored("mlp.gate_proj.weight"),
    "ff_gate_bias": Stored("mlp.gate_proj.bias", when=_FF_BIASED),
    "ff_values": Stored("mlp.down_proj.weight", "d_model d_ff -> d_ff d_model"),
    "ff_value_bias": Stored("mlp.down_proj.bias", when=_FF_BIASED),
}

LLAMA = Family(
    model_types=("llama",),
    sizes={
        "layer": Option("num_hidden_layers"),
        "head": Option("num_attention_heads"),
        "kv_head": Option("num_key_value_heads"),
        "copy": copies,
    },
    settings={
        "positions": "rotary",
        "activation": Option("hidden_act"),
        "norm": "rms",
        "ln_eps": Option("rms_norm_eps"),
    },
    tells={
        "d_model": Option("hidden_size"),
        "d_head": head_width,
        "d_ff": Option("intermediate_size"),
        "d_vocab_out": Option("vocab_size"),
    },
    unused=(r".*rotary_emb\.inv_freq",),
    prefix="model.",
    whole={
        "W_E": Stored("model.embed_tokens.weight"),
        "rotary_frequency": rotary_frequencies,
        "ln_final_gain": Stored("model.norm.weight"),
        "W_U": Stored("lm_head.weight", "d_vocab d_model -> d_model d_vocab", tied="model.embed_tokens.weight"),
    },
    layer="model.layers.{layer}.",
    layered=LAYERED,
)

MISTRAL = replace(LLAMA, model_types=("mistral",), settings={**LLAMA.settings, "window": window})

QWEN2 = replace(
    MISTRAL,
    model_types=("qwen2",),
    layered={
        **LAYERED,  # queries, keys and values always have biases
        **{name: replace(LAYERED[name], when=always) for name in ("b_Q", "b_K", "b_V")},
    },
)
