"""Settings of the scaling stage."""

from pydantic import Field

from pipeline.settings.base import Confidence, Count, Positive, Slice, StageSettings
from pipeline.settings.stage import Stage

# Of a run, then of a study.
MEASURED = (
    *("prepare", "probe", "train", "extract", "verify", "decompose", "project", "score", "ablate", "cover"),
    *("score_checkpoints", "challenge", "overlap"),
    *("align", "summarise", "judge", "render", "atlas", "manifest"),
)
STAGE = Stage(
    of="apart",
    tables=("scaling", "scaling_fits", "scaling_foretold"),
    by_name=tuple(f"pipeline.{stage}" for stage in MEASURED),
    mem_mb=4000,
)


class Sizes(Slice):
    """How large models are, and how many."""

    V: Count
    layers: Count
    heads: Count
    d_model: Count
    context: int = Field(ge=4)
    runs: Count


class LargerModel(Sizes):
    """A model that is not measured."""

    billions: Positive


class Axes(Slice):
    """What each size becomes where the others stay."""

    V: tuple[Count, ...]
    layers: tuple[Count, ...]
    heads: tuple[Count, ...]
    d_model: tuple[Count, ...]
    context: tuple[Count, ...]
    runs: tuple[Count, ...]


class ScalingSettings(StageSettings):
    """What is measured, and what is foretold from that."""

    base: Sizes
    axes: Axes
    held_out: Sizes
    models: dict[str, LargerModel]
    overrides: str
    least_seconds: Positive
    least_bytes: Count
    sampled_every: Positive
    confidence: Confidence
