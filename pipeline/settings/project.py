"""Settings of the project stage."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipeline.settings.base import Count, Slice, StageSettings, Unit
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"prepare": ("vocabulary", "tokens"), "extract": ("weights",)},
    tables=("vocab_pairs", "vocab_counts", "vocab_units", "spectra", "distance_scores"),
    gated=True,
    mem_mb=4000,
    runtime=240,
)

Filter = Literal["only_ascii", "only_english", "exclude_brackets", "exclude_same", "exclude_fuzzy", "occurring"]


class Limits(Slice):
    """A limit of each circuit's entries."""

    OV: float | None
    QK: float | None


class ProjectSettings(StageSettings):
    """What is listed of each head and neuron, and through which lens."""

    of_the_workflow = ("part",)

    pairs: Count
    positions: bool
    unit_tokens: Count
    directions: int = Field(ge=0)
    dimensions: int | None = Field(ge=0)
    neurons: Annotated[int, Field(ge=0)] | tuple[Unit, ...] | None
    heads: tuple[Unit, ...] | None
    ln_mode: Literal["raw", "folded", "folded_centred"]
    emb_modes: tuple[Literal["embedding", "after_mlp0"], ...] = Field(min_length=1)
    distances: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    score_distances: int = Field(ge=0)
    normaliser: Literal["none", "notebook"]
    filters: tuple[Filter, ...]
    stem_length: Count
    edit_length: Count
    min_value: Limits
    max_value: Limits
    min_share: float | None = Field(ge=0, lt=1)
    tile_mb: float = Field(ge=0.001)
    parts: int = Field(ge=1, le=1000)
    part: int | None = Field(ge=0)

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        for circuit in Limits.model_fields:
            low, high = (getattr(limits, circuit) for limits in (self.min_value, self.max_value))
            if low is not None and high is not None and low >= high:
                raise ValueError(f"min_value.{circuit} {low} is not below max_value.{circuit} {high}")
        if self.part is not None and self.part >= self.parts:
            raise ValueError(f"part {self.part}: there are {self.parts} parts, counted from 0")
        return self
