"""Settings of the score stage."""

from pydantic import Field

from pipeline.settings.base import Confidence, LayerPairs, Slice


class ScoreSettings(Slice):
    """How much is measured, and in what portions."""

    batch: int = Field(ge=1)
    tile: int = Field(ge=1)
    ranked_tokens: int = Field(ge=1)
    layer_pairs: LayerPairs
    path_sentences: int = Field(ge=1)
    top_tokens: int = Field(ge=1)
    resamples: int = Field(ge=40)  # with fewer, no resample lies beyond the ends of a 95 % interval
    confidence: Confidence
    draws: int = Field(ge=20, multiple_of=2)  # with fewer, no p value lies below 0.05
    pair_draws: int = Field(ge=2, multiple_of=2)
    ranked_draws: int = Field(ge=20)
    null_sentences: int = Field(ge=1)
    seed: int = Field(ge=0)
    threads: int = Field(ge=1)
