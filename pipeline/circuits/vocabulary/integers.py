"""Rows as 8-bit integers, which some processors multiply several times as fast as floats.

Products of integers are added up without error; how far a row is off is measured.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int8
from torch import Tensor

LARGEST = 127  # in size, of either sign
MULTIPLE = 4  # of so many columns at a time processors add up products


@dataclass(frozen=True)
class Whole:
    """Rows as a step times integers."""

    integers: Int8[Tensor, "row padded"]  # with columns of zeros behind; products of one column alone are wrong
    step: float
    off: float  # never below the distance of a row from the step times its integers


def has_fast_integers(device: torch.device) -> bool:
    """Whether the processor multiplies 8-bit integers faster than any float, and adds the products up without error."""
    on_cpu = device.type == "cpu" and torch.backends.mkldnn.is_available()
    return bool(on_cpu and torch.cpu.get_capabilities().get("avx512_vnni"))


def whole(rows: Float[Tensor, "row rank"]) -> Whole:
    """Round rows, at least one of which is not 0, to integers."""
    rows = rows.double()
    step = float(rows.abs().max()) / LARGEST
    integers = (rows / step).round_()
    off = torch.linalg.vector_norm(rows - step * integers, dim=1).max()
    padded = torch.nn.functional.pad(integers, (0, -rows.shape[1] % MULTIPLE))
    return Whole(padded.to(torch.int8), step, float(off) * (1 + 1e-6))
