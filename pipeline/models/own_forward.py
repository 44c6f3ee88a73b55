"""What a model says of itself: its own forward pass, to hold everything rebuilt from tables against."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange, repeat
from safetensors.torch import load_file
from torch import Tensor

from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig


@dataclass(frozen=True)
class OwnForward:
    """A model's own attention and output on some tokens."""

    scores: Tensor  # [batch, layer, head, query, key], before the mask
    pattern: Tensor  # [batch, layer, head, query, key], probability
    logits: Tensor  # [batch, position, d_vocab]


Run = Callable[[Tensor], OwnForward]


def own_forward(folder: Path) -> Run:
    """Load the model saved in `folder` (config.json, model.safetensors) in float64; run it on tokens [batch, position].

    Holds the parameters once, and of a call what it returns.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    run = _of_ours(folder, config) if config["model_type"] == "attention_only" else _of_transformers(folder, config)
    return torch.no_grad()(run)


def _of_ours(folder: Path, config: dict) -> Run:
    model = AttentionOnly(AttentionOnlyConfig.from_dict(config))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    model.double()

    def run(tokens: Tensor) -> OwnForward:
        trace = model.trace(tokens, torch.float64)
        return OwnForward(trace.scores, trace.pattern, trace.logits)

    return run


def _of_transformers(folder: Path, config: dict) -> Run:
    # Costs seconds to import, so only where one of its checkpoints is read.
    import transformers
    from transformers.masking_utils import eager_mask

    kept = []

    def eager(module: torch.nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options):
        """The model's own eager attention; the scores it would not show are noted on the way."""
        shared = repeat(key, "batch head ... -> batch (head copy) ...", copy=query.shape[1] // key.shape[1])
        kept.append(query @ rearrange(shared, "... key d_head -> ... d_head key") * options["scaling"])
        return sys.modules[type(module).__module__].eager_attention_forward(module, query, key, value, mask, **options)

    transformers.AttentionInterface.register("noted_eager", eager)
    transformers.AttentionMaskInterface.register("noted_eager", eager_mask)
    kind = transformers.AutoModelForMaskedLM if config["model_type"] == "bert" else transformers.AutoModelForCausalLM
    model = kind.from_pretrained(
        folder, attn_implementation="noted_eager", use_safetensors=True, dtype=torch.float64, local_files_only=True
    ).eval()

    def run(tokens: Tensor) -> OwnForward:
        kept.clear()
        out = model(tokens, output_attentions=True, use_cache=False)
        return OwnForward(torch.stack(kept, dim=1), torch.stack(out.attentions, dim=1), out.logits)

    return run
