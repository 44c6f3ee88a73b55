"""Settings of the benchmark."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.settings.base import Count, Dpi, Seed, Slice, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="apart",
    tables=("benchmark",),
)


class TimedTraining(Slice):
    """What a training that is timed is of."""

    steps: Count
    batch: Count
    n_ctx: int = Field(ge=2)
    n_layers: Count
    n_heads: Count
    d_model: Count
    d_vocab: int = Field(ge=2)
    threads: Count


class BenchmarkSettings(StageSettings):
    """Sizes of what is timed, and how often."""

    what: tuple[str, ...] | None
    sizes: tuple[Count, ...] = Field(min_length=1)
    d_head: Count
    pairs: tuple[Count, ...] = Field(min_length=1)
    d_model: Count
    n_layers: Count
    n_heads: Count
    neurons: Count
    unit_tokens: Count
    decay: float = Field(gt=0, le=1)
    exponent: float = Field(ge=0)
    norm_spread: float = Field(ge=0)
    peers: tuple[Literal["bare_product", "two_passes", "compiled", "faiss"], ...]
    tile: Count
    portion: Count
    roundoff: float = Field(ge=0, lt=1)
    training: TimedTraining
    repeats: Count
    seed: Seed
    dpi: Dpi

    @model_validator(mode="after")
    def _enough_pairs(self) -> Self:
        if max(self.pairs) > min(self.sizes) ** 2:
            raise ValueError(f"pairs: {max(self.pairs)} are more than a circuit of {min(self.sizes)} tokens has")
        return self
