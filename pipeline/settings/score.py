"""Settings of the score stage."""

from typing import Self

from pydantic import Field, model_validator

from pipeline.settings.base import Slice


class ScoreSettings(Slice):
    """How much is measured, and in what portions."""

    batch: int = Field(ge=1)
    tile: int = Field(ge=1)
    ranked_tokens: int = Field(ge=1)
    layer_pairs: tuple[tuple[int, int], ...]
    path_sentences: int = Field(ge=1)
    top_tokens: int = Field(ge=1)
    resamples: int = Field(ge=40)  # with fewer, no resample lies beyond the ends of a 95 % interval
    draws: int = Field(ge=20, multiple_of=2)  # with fewer, no p value lies below 0.05
    pair_draws: int = Field(ge=2, multiple_of=2)
    ranked_draws: int = Field(ge=20)
    null_sentences: int = Field(ge=1)
    seed: int = Field(ge=0)
    threads: int = Field(ge=1)

    @model_validator(mode="after")
    def _earlier_first(self) -> Self:
        for pair in self.layer_pairs:
            if not 0 <= pair[0] < pair[1]:
                raise ValueError(f"layer_pairs: {list(pair)} is no layer and a later one; put the earlier first")
        return self
