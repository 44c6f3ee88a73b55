"""Settings of the score_checkpoints stage."""

from pydantic import Field

from pipeline.settings.base import Share, Slice


class ScoreCheckpointsSettings(Slice):
    """How much is measured at every checkpoint, and in what portions."""

    sentences: int = Field(ge=1)
    batch: int = Field(ge=1)
    tile: int = Field(ge=1)
    ranked_tokens: int = Field(ge=1)
    early: Share
    late: Share
    threads: int = Field(ge=1)
