"""What a model says of itself: its own forward pass, to hold everything rebuilt from tables against."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from safetensors.torch import load_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig, OwnForward
from pipeline.models.families import family_of

OwnModel = Callable[[Int[Tensor, "batch position"]], OwnForward]  # of token ids


def own_forward(folder: Path) -> OwnModel:
    """Load the model saved in `folder` (config.json, model.safetensors) in float64, to be run on tokens.

    Holds the parameters once, and of a call what it returns.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    load = _of_ours if config["model_type"] == "attention_only" else _of_transformers
    return torch.no_grad()(load(folder, config))


class _Noted64(TorchFunctionMode):
    """Computes in float64 what the library's code puts into float32 whatever a model is in: norms, softmax, angles.

    What each softmax over keys is taken of is noted on the way: no model shows it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scores: list[Tensor] = []  # [batch, head, query, key], a layer each

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> Any:
        """Call a function of torch, with float64 wherever it is told float32."""
        func = torch.Tensor.double if func is torch.Tensor.float else func
        if func.__name__ == "softmax" and args[0].ndim == 4:
            self.scores.append(args[0])
        named = {name: _wide(value) for name, value in (kwargs or {}).items()}
        return func(*map(_wide, args), **named)


def _wide(value: object) -> object:
    return torch.float64 if value is torch.float32 else value


def _of_ours(folder: Path, config: dict) -> OwnModel:
    model = AttentionOnly(AttentionOnlyConfig.from_dict(config))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    model.double()
    return partial(model.trace, dtype=torch.float64)


def _of_transformers(folder: Path, config: dict) -> OwnModel:
    # Costs seconds to import, so only where one of its checkpoints is read.
    import transformers

    masked = family_of(config).settings.get("attends") == "both_ways"
    model = (
        (transformers.AutoModelForMaskedLM if masked else transformers.AutoModelForCausalLM)
        .from_pretrained(
            folder,
            attn_implementation="eager",
            use_safetensors=True,
            dtype=torch.float64,
            local_files_only=True,
            trust_remote_code=False,
        )
        .eval()
    )

    def run(tokens: Tensor) -> OwnForward:
        with _Noted64() as noted:
            out = model(tokens, output_attentions=True, use_cache=False)
        return OwnForward(torch.stack(noted.scores, dim=1), torch.stack(out.attentions, dim=1), out.logits)

    return run
