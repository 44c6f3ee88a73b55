"""Settings of the ablate stage."""

from typing import Literal

from pydantic import Field

from pipeline.settings.base import Bootstrap, LayerPairs
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"probe": ("sequences",), "extract": ("weights",)},
    tables=("ablations", "paths", "term_orders", "edges"),
    gated=True,
    runtime=120,
)


class AblateSettings(Bootstrap):
    """What is taken away, how much it is measured on, and how sure the numbers must be."""

    seed: int = Field(ge=0)
    eval_sets: tuple[Literal["text", "repeated_text", "natural_repeats", "repeated_tokens"], ...] = Field(min_length=1)
    sentences: int = Field(ge=2)  # resample ablation needs another sentence
    batch: int = Field(ge=1)
    heads: int = Field(ge=1)
    layer_pairs: LayerPairs
    edge_sentences: int = Field(ge=1)
    path_sentences: int = Field(ge=1)
    most_paths: int = Field(ge=1)
    order_pairs: int = Field(ge=2)  # one alone does not tell how they differ
    threads: int = Field(ge=1)
