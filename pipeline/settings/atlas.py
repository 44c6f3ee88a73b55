"""Settings of the atlas stage."""

from pydantic import Field

from pipeline.settings.base import Confidence, Count, EvalSet, Significance, StageSettings
from pipeline.settings.stage import EVERY, Stage

STAGE = Stage(
    of="study",
    reads={"probe": ("sequences",), "summarise": (EVERY,), "judge": (EVERY,), "align": (EVERY,)},
    files=("atlas.html",),
    mem_mb=4000,
)


class AtlasSettings(StageSettings):
    """How much of the tables the page holds."""

    confidence: Confidence
    significance: Significance
    bits: int = Field(ge=7, le=23)
    influence_bits: int = Field(ge=7, le=23)
    pairs: Count
    direction_tokens: Count
    pattern_sentences: Count
    by_sentence: tuple[tuple[str, str], ...]  # metric, definition
    sentences_of: tuple[EvalSet, ...]
    # From the planner, not from conf/: what the study is.
    study: str
    request: str  # as `snakemake --config` takes it
    questions: tuple[tuple[str, str], ...]  # of each experiment, in the study's order
