"""Settings of the probe stage: the sequences every model of a study is measured on."""

from typing import Self

from pydantic import Field, model_validator

from pipeline.settings.base import Count, Length, Seed, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"prepare": ("tokenizer.json", "tokens", "vocabulary")},
    files=("sequences", "loss_sequences"),
)


class ProbeSettings(StageSettings):
    """How many sequences of each kind, how long, and what repeats in them."""

    seed: Seed
    n_ctx: int = Field(ge=4)
    sentences: Count
    loss_sentences: Count
    loss_copies: Count
    repeat_tokens: int = Field(ge=2)
    periods: tuple[Length, ...] = Field(min_length=1)
    min_length: Length  # the first token of a copy is no second copy
    max_length: Count
    demo: str = Field(min_length=1)

    @model_validator(mode="after")
    def _blocks_fit(self) -> Self:
        for period in self.periods:
            if 2 * period > self.n_ctx - 1:
                raise ValueError(
                    f"periods: a block of {period} tokens does not fit twice into n_ctx={self.n_ctx}; "
                    f"at most {(self.n_ctx - 1) // 2}; unless set, they are train.copies.heldout_distances"
                )
        if self.min_length > self.max_length:
            raise ValueError(f"min_length={self.min_length} is above max_length={self.max_length}")
        return self

    @model_validator(mode="after")
    def _losses_on_more(self) -> Self:
        for name in ("loss_sentences", "loss_copies"):
            if (limit := getattr(self, name)) < self.sentences:
                raise ValueError(
                    f"{name}={limit} is below sentences={self.sentences}, which are the first of them; raise {name}"
                )
        return self
