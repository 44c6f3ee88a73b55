"""Gemma: a Llama whose gains are counted from 1, and whose embeddings are multiplied by sqrt(d_model).

Gemma 2 has a norm behind each part too, and caps scores and logits.
"""

from dataclasses import replace

from pipeline.models.families.family import Option, Stored
from pipeline.models.families.llama import LAYERED, LLAMA, window

GEMMA = replace(
    LLAMA,
    model_types=("gemma",),
    settings={
        **LLAMA.settings,
        "attends": Option("use_bidirectional_attention", None, means={None: "back", False: "back", True: "both_ways"}),
        "gain_from": 1.0,
        "embed_scale": lambda config: config["hidden_size"] ** 0.5,
    },
)

GEMMA2 = replace(
    GEMMA,
    model_types=("gemma2",),
    usual={"attention_bias": False},
    settings={
        **GEMMA.settings,
        "activation": Option("hidden_activation"),
        "window": window,
        "query_scale": lambda config: (config["head_dim"] / config["query_pre_attn_scalar"]) ** 0.5,
        "score_cap": Option("attn_logit_softcapping"),
        "logit_cap": Option("final_logit_softcapping"),
    },
    layered={
        **LAYERED,
        "ln1_post_gain": Stored("post_attention_layernorm.weight"),
        "ln2_gain": Stored("pre_feedforward_layernorm.weight"),
        "ln2_post_gain": Stored("post_feedforward_layernorm.weight"),
    },
)
