"""Settings of the cover stage."""

from pydantic import Field

from pipeline.settings.base import Bootstrap, Count, Seed
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={
        "prepare": ("vocabulary",),
        "probe": ("sequences",),
        "extract": ("weights",),
        "score": ("head_scores", "sentence_scores"),
    },
    tables=("role_coverage",),
    gated=True,
)


class CoverSettings(Bootstrap):
    """Which heads, on how much text, and beside how much chance."""

    seed: Seed
    sentences: Count
    positions: Count
    batch: Count
    draws: Count
    heads: Count
    best_heads: int = Field(ge=0)
    least_effect: float = Field(gt=0)
