"""Settings of the score_checkpoints stage."""

from typing import Self

from pydantic import Field, model_validator

from pipeline.settings.base import Slice
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={
        "prepare": ("vocabulary",),
        "probe": ("sequences",),
        "train": ("config.json", "checkpoints.safetensors"),
    },
    tables=("checkpoint_scores",),
    gated=True,
)


class ScoreCheckpointsSettings(Slice):
    """How much is measured at every checkpoint, and in what portions."""

    sentences: int = Field(ge=1)
    batch: int = Field(ge=1)
    tile: int = Field(ge=1)
    ranked_tokens: int = Field(ge=1)
    early: tuple[float, float]
    late: tuple[float, float]
    threads: int = Field(ge=1)

    @model_validator(mode="after")
    def _windows_in_order(self) -> Self:
        for name, (start, end) in (("early", self.early), ("late", self.late)):
            if not 0 <= start < end <= 1:
                raise ValueError(
                    f"{name}: [{start}, {end}] is no part of a sequence; give two shares, the smaller first"
                )
        return self
