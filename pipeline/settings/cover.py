"""Settings of the cover stage."""

from pydantic import Field

from pipeline.settings.base import Bootstrap
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

    seed: int = Field(ge=0)
    sentences: int = Field(ge=1)
    positions: int = Field(ge=1)
    batch: int = Field(ge=1)
    draws: int = Field(ge=1)
    heads: int = Field(ge=1)
    best_heads: int = Field(ge=0)
    least_effect: float = Field(gt=0)
