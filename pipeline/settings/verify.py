"""Settings of the verify stage."""

from pydantic import Field

from pipeline.settings.base import Slice, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"probe": ("sequences",), "train": ("config.json", "model.safetensors"), "extract": ("weights",)},
    tables=("checks",),
)


class Tolerance(Slice):
    """The largest absolute error of each check, in the unit of what it checks."""

    terms: float = Field(gt=0)
    pattern: float = Field(gt=0)
    logits: float = Field(gt=0)
    paths: float = Field(gt=0)
    orders: float = Field(gt=0)
    factored: float = Field(gt=0)
    gauge: float = Field(gt=0)


class VerifySettings(StageSettings):
    """What is checked on how much, and what the checks allow."""

    sentences: int = Field(ge=1)
    batch: int = Field(ge=1)
    apart: int = Field(ge=1)
    dense_tokens: int = Field(ge=2, le=512)  # eigenvalues of a dense matrix take seconds beyond
    seed: int = Field(ge=0)
    tolerance: Tolerance
