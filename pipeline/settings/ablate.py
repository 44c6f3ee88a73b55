"""Settings of the ablate stage."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.settings.base import Slice


class AblateSettings(Slice):
    """What is taken away, how much it is measured on, and how sure the numbers must be."""

    seed: int = Field(ge=0)
    eval_sets: tuple[Literal["text", "repeated_text", "repeated_tokens"], ...] = Field(min_length=1)
    sentences: int = Field(ge=2)  # resample ablation needs another sentence
    batch: int = Field(ge=1)
    heads: int = Field(ge=1)
    layer_pairs: tuple[tuple[int, int], ...]
    edge_sentences: int = Field(ge=1)
    path_sentences: int = Field(ge=1)
    most_paths: int = Field(ge=1)
    order_pairs: int = Field(ge=2)  # one alone does not tell how they differ
    resamples: int = Field(ge=40)  # with fewer, no resample lies beyond the ends of a 95 % interval
    threads: int = Field(ge=1)

    @model_validator(mode="after")
    def _earlier_first(self) -> Self:
        for pair in self.layer_pairs:
            if not 0 <= pair[0] < pair[1]:
                raise ValueError(f"layer_pairs: {list(pair)} is no layer and a later one; put the earlier first")
        return self
