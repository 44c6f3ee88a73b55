"""Settings of the challenge stage: the sequences that tell content from position, and how they are measured."""

from typing import Annotated

from pydantic import Field

from pipeline.settings.base import Bootstrap, Count, Length, Seed
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"prepare": ("tokens", "vocabulary"), "extract": ("weights",)},
    tables=("challenge_scores",),
    gated=True,
)


class ChallengeSettings(Bootstrap):
    """How many sequences, how long, and what repeats in them; a level that does not fit is left out, and said."""

    seed: Seed
    n_ctx: int = Field(ge=4)
    sentences: Count
    segment: Count
    periods: tuple[Length, ...]
    lengths: tuple[Count, ...]
    gaps: tuple[Annotated[int, Field(ge=0)], ...]
    batch: Count
