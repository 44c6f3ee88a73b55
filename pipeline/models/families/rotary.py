"""How fast rotary positions turn, as the checkpoints' own configuration says it."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float32
from torch import Tensor

Rope = Mapping[str, Any]


def rotary_frequencies(config: Mapping[str, Any]) -> Float32[Tensor, " pair"]:
    """Return radians a position; partial rotary positions turn fewer pairs than d_head / 2.

    Args:
        config: config.json, with `rope_parameters`.

    Raises:
        ValueError: the frequencies are scaled in a way that is not known, or that depends on the sequence.

    Source: Su et al. 2021, "RoFormer"; scaled for longer contexts as Llama 3.1 was.
    """
    rope = config["rope_parameters"]
    d_head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    turned = int(d_head * rope.get("partial_rotary_factor", 1.0))
    usual = 1.0 / rope["rope_theta"] ** (torch.arange(0, turned, 2, dtype=torch.float32) / turned)
    match rope_type := rope.get("rope_type", "default"):
        case "default":
            return usual
        case "linear":
            return usual / rope["factor"]
        case "llama3":
            return _llama3(usual, rope)
    raise ValueError(
        f"config.json: rotary positions of type {rope_type!r} are not known; known: default, linear, llama3"
    )


def _llama3(usual: Float32[Tensor, " pair"], rope: Rope) -> Float32[Tensor, " pair"]:
    """Slow pairs turn `factor` times slower, fast ones as usual, those between by interpolation.

    In the library's order of operations, which decides the last digit.
    """
    turns = rope["original_max_position_embeddings"] / (2 * math.pi / usual)  # over the first training's context
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    share = ((turns - low) / (high - low)).clamp(0, 1)
    return (1 - share) * usual / rope["factor"] + share * usual
