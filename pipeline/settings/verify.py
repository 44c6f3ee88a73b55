"""Settings of the verify stage."""

from typing import Annotated

from pydantic import Field

from pipeline.settings.base import Count, Seed, Slice, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"probe": ("sequences",), "train": ("config.json", "model.safetensors"), "extract": ("weights",)},
    tables=("checks",),
)


# Float64 errs by far less in any model; a gate that allows more would let a wrong reading through.
Allowed = Annotated[float, Field(gt=0, le=1e-2)]


class Tolerance(Slice):
    """The largest absolute error of each check, in the unit of what it checks."""

    terms: Allowed
    pattern: Allowed
    logits: Allowed
    parts: Allowed
    paths: Allowed
    orders: Allowed
    factored: Allowed
    gauge: Allowed


class VerifySettings(StageSettings):
    """What is checked on how much, and what the checks allow."""

    sentences: Count
    batch: Count
    apart: Count
    dense_tokens: int = Field(ge=2, le=512)  # eigenvalues of a dense matrix take seconds beyond
    seed: Seed
    tolerance: Tolerance
