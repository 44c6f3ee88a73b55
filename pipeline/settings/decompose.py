"""Settings of the decompose stage."""

from pydantic import Field

from pipeline.settings.base import Bootstrap, Count, Seed
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"prepare": ("vocabulary",), "probe": ("sequences",), "train": ("config.json",), "extract": ("weights",)},
    tables=("attention_terms", "sentence_terms", "offset_profiles", "term_maps", "sentence_patterns"),
    gated=True,
)


class DecomposeSettings(Bootstrap):
    """How finely scores are split, how sure the statistics must be, and what is shown."""

    apart: Count
    batch: Count
    seed: Seed
    map_tokens: int = Field(ge=2)
    pattern_sentences: Count
