"""Tiny random models of every family, saved as its checkpoints are: what the gates are tested on."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file

from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel

D_VOCAB, N_CTX = 29, 32
SPREAD = 0.4  # standard deviation of every parameter: scores differ, and no softmax is all one key
SHARED = {"vocab_size": D_VOCAB, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
WIDE = SHARED | {
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": N_CTX,
}
GROUPED = WIDE | {"num_key_value_heads": 2}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 2.0,
    "original_max_position_embeddings": 16,
}
CAPS = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 1.5}
NEO = SHARED | {
    "hidden_size": 24,
    "num_heads": 4,
    "num_layers": 3,
    "attention_types": [[["global", "local", "global"], 1]],
    "window_size": 12,
    "max_position_embeddings": N_CTX,
}
PARTIAL = {"rope_theta": 100.0, "partial_rotary_factor": 0.67}
LINEAR = {"rope_type": "linear", "rope_theta": 10000.0, "factor": 3.0}
# Of the library's families. name: its class, and the shape of the model
CHECKPOINTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "gpt2": ("GPT2", SHARED | {"n_embd": 24, "n_head": 4, "n_layer": 3, "n_positions": N_CTX}),
    "gpt_neo": ("GPTNeo", NEO),
    "gpt_neox": ("GPTNeoX", WIDE | {"rope_parameters": PARTIAL}),
    "gpt_neox_sequential": ("GPTNeoX", WIDE | {"use_parallel_residual": False, "attention_bias": False}),
    "llama": ("Llama", GROUPED),
    "llama_biases": ("Llama", GROUPED | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "llama_wide_heads": ("Llama", GROUPED | {"head_dim": 10}),
    "llama3_positions": ("Llama", GROUPED | {"rope_parameters": LLAMA3}),
    "linear_positions": ("Llama", GROUPED | {"rope_parameters": LINEAR}),
    "mistral": ("Mistral", GROUPED | {"sliding_window": 12}),
    "qwen2": ("Qwen2", GROUPED | {"tie_word_embeddings": True}),
    "bert": ("Bert", WIDE),
    "gemma": ("Gemma", GROUPED | {"head_dim": 6}),
    "gemma2": ("Gemma2", GROUPED | {"head_dim": 6, "query_pre_attn_scalar": 7, "sliding_window": 12} | CAPS),
    "opt": ("OPT", WIDE | {"ffn_dim": 20}),
    "phi": ("Phi", GROUPED | {"rope_parameters": PARTIAL}),
    "phi3": ("Phi3", GROUPED | {"rms_norm_eps": 1e-6}),
    "stablelm": ("StableLm", GROUPED | {"use_qkv_bias": True, "rope_parameters": PARTIAL}),
    "starcoder2": ("Starcoder2", GROUPED),
    "olmo": ("Olmo", GROUPED),
}
TOY = AttentionOnlyConfig(
    n_layers=2, n_heads=4, d_model=24, n_ctx=N_CTX, d_vocab=D_VOCAB, positions="queries_and_keys", tied=False
)
NAMES = ("attention_only", *CHECKPOINTS)


def save_tiny(name: str, folder: Path, generator: torch.Generator) -> None:
    """Save a tiny model as config.json and model.safetensors.

    Args:
        name: one of NAMES.
        folder: where; made where it is not.
        generator: decides every parameter.
    """
    if name in CHECKPOINTS:
        model_of(name, generator).save_pretrained(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    model = AttentionOnly(TOY)
    _randomise(model, generator)
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": name, **asdict(TOY)}), encoding="utf-8")


def model_of(name: str, generator: torch.Generator, **changes: object) -> "PreTrainedModel":
    """Return a model of the library whose every parameter, biases and gains too, is random.

    Args:
        name: of CHECKPOINTS.
        generator: decides the parameters.
        changes: of its shape, by the library's options.
    """
    # Costs seconds to import, so only where one of its models is made.
    import transformers

    family, shape = CHECKPOINTS[name]
    kind = {"GPT2": "LMHeadModel", "Bert": "ForMaskedLM"}.get(family, "ForCausalLM")
    config = getattr(transformers, f"{family}Config")(**{**shape, **changes}, attn_implementation="eager")
    model = getattr(transformers, f"{family}{kind}")(config).eval()
    _randomise(model, generator)
    model.tie_weights()
    return model


def _randomise(model: torch.nn.Module, generator: torch.Generator) -> None:
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * SPREAD
