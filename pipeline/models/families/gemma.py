"""Gemma: a Llama whose gains are counted from 1, and whose embeddings are multiplied by sqrt(d_model)."""

from dataclasses import replace

from pipeline.models.families.family import Option
from pipeline.models.families.llama import LLAMA

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
