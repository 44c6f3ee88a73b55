"""Settings of the overlap stage."""

from pydantic import Field

from pipeline.settings.base import Confidence, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"probe": ("sequences",), "extract": ("weights",)},
    tables=("overlaps",),
    gated=True,
)


class OverlapSettings(StageSettings):
    """How many tokens stand for a vector, and what is measured."""

    tokens: int = Field(ge=1)
    recalled_tokens: int = Field(ge=1)
    active_neurons: int = Field(ge=1)
    sentences: int = Field(ge=1)
    confidence: Confidence
    seed: int = Field(ge=0)
