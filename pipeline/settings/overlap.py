"""Settings of the overlap stage."""

from pipeline.settings.base import Confidence, Count, Seed, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"probe": ("sequences",), "extract": ("weights",)},
    tables=("overlaps",),
    gated=True,
)


class OverlapSettings(StageSettings):
    """How many tokens stand for a vector, and what is measured."""

    tokens: Count
    recalled_tokens: Count
    active_neurons: Count
    sentences: Count
    confidence: Confidence
    seed: Seed
