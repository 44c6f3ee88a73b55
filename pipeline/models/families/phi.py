"""Phi, whose parts stand side by side behind one norm, and Phi-3, a Llama whose matrices are fused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pipeline.models.families.family import Option, Stored, always
from pipeline.models.families.llama import LAYERED, LLAMA, MISTRAL, head_width


def _part(side: int) -> Callable[[Mapping[str, Any]], slice]:
    """Say where queries, keys or values are among the rows of all three."""

    def rows(config: Mapping[str, Any]) -> slice:
        heads = config["num_attention_heads"], *2 * [config["num_key_value_heads"]]
        return slice(*(head_width(config) * sum(heads[:end]) for end in (side, side + 1)))

    return rows


PHI = replace(
    LLAMA,
    model_types=("phi",),
    usual={"qk_layernorm": False},
    settings={
        "positions": "rotary",
        "activation": Option("hidden_act"),
        "residual": "parallel",
        "ln_eps": Option("layer_norm_eps"),
    },
    whole={
        **LLAMA.whole,
        "ln_final_gain": Stored("model.final_layernorm.weight"),
        "ln_final_bias": Stored("model.final_layernorm.bias"),
        "b_U": Stored("lm_head.bias"),
    },
    layered={
        **{name: replace(LAYERED[name], when=always) for name in ("W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V")},
        "W_O": replace(LAYERED["W_O"], name="self_attn.dense.weight"),
        "b_O": Stored("self_attn.dense.bias"),
        **{f"{norm}_gain": Stored("input_layernorm.weight") for norm in ("ln1", "ln2")},
        **{f"{norm}_bias": Stored("input_layernorm.bias") for norm in ("ln1", "ln2")},
        "ff_keys": Stored("mlp.fc1.weight"),
        "ff_key_bias": Stored("mlp.fc1.bias"),
        "ff_values": Stored("mlp.fc2.weight", "d_model d_ff -> d_ff d_model"),
        "ff_value_bias": Stored("mlp.fc2.bias"),
    },
)

PHI3 = replace(
    MISTRAL,
    model_types=("phi3",),
    sizes={**LLAMA.sizes, "gate_up": 2},
    layered={
        **LAYERED,
        **{
            f"W_{side}": replace(LAYERED[f"W_{side}"], name="self_attn.qkv_proj.weight", rows=_part(place))
            for place, side in enumerate("QKV")
        },
        **{
            name: Stored("mlp.gate_up_proj.weight", "(gate_up d_ff) d_model -> gate_up d_ff d_model", part)
            for part, name in enumerate(("ff_gates", "ff_keys"))
        },
    },
)
