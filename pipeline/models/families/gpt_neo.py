"""GPT-Neo: a GPT-2 whose scores are divided by nothing, without biases of queries, keys and values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pipeline.models.families.family import Option, Stored
from pipeline.models.families.gpt2 import GPT2

_SPLIT = "(head d_head) d_model -> head d_model d_head"


def _window(config: Mapping[str, Any]) -> int | None:
    """Return how many keys a query sees where some layer has it see fewer than all."""
    return config["window_size"] if "local" in config["attention_layers"] else None


GPT_NEO = replace(
    GPT2,
    model_types=("gpt_neo",),
    usual={},
    sizes={"layer": Option("num_layers"), "head": Option("num_heads")},
    settings={
        **GPT2.settings,
        "window": _window,
        "query_scale": lambda config: (config["hidden_size"] / config["num_heads"]) ** 0.5,
    },
    tells={
        "d_model": Option("hidden_size"),
        "n_ctx": Option("max_position_embeddings"),
        "d_ff": lambda config: config.get("intermediate_size") or 4 * config["hidden_size"],
        "d_vocab_out": Option("vocab_size"),
    },
    unused=(r".*\.attn\.attention\.(masked_)?bias",),
    layered={
        **{name: stored for name, stored in GPT2.layered.items() if name not in ("b_Q", "b_K", "b_V")},
        **{f"W_{side}": Stored(f"attn.attention.{side.lower()}_proj.weight", _SPLIT) for side in "QKV"},
        "W_O": Stored("attn.attention.out_proj.weight", "d_model (head d_head) -> head d_head d_model"),
        "b_O": Stored("attn.attention.out_proj.bias"),
        "ff_keys": Stored("mlp.c_fc.weight"),
        "ff_values": Stored("mlp.c_proj.weight", "d_model d_ff -> d_ff d_model"),
    },
)
