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

Error = Annotated[float, Field(gt=0, le=1)]  # beyond, nothing would be refused


class Tolerance(Slice):
    """The largest absolute error of each check, in the unit of what it checks."""

    terms: Error
    pattern: Error
    logits: Error
    paths: Error
    orders: Error
    factored: Error
    gauge: Error


class VerifySettings(StageSettings):
    """What is checked on how much, and what the checks allow."""

    sentences: Count
    batch: Count
    apart: Count
    dense_tokens: int = Field(ge=2, le=512)  # eigenvalues of a dense matrix take seconds beyond
    seed: Seed
    tolerance: Tolerance
