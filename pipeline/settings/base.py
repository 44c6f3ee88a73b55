"""What every stage's settings have in common."""

import json
import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


class Slice(BaseModel):
    """One stage's slice of the configuration: `conf/<stage>/`, as composed.

    A subclass gives names, types and ranges, never values. What a stage shares with others it names by
    interpolation in its YAML (`model: ${model}`), so that the slice is all the stage depends on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Validate plain values; JSON's rules, so a list may fill a tuple but a string no number."""
        return cls.model_validate_json(json.dumps(values))

    def files(self) -> list[str]:
        """Paths of a person's own files that the stage will read: the workflow watches them."""
        return []


class StageSettings(Slice):
    """What every stage's settings have in common."""

    of_the_workflow: ClassVar[tuple[str, ...]] = ()  # settings that only the workflow gives a value, a job each

    threads: int = Field(ge=1)


EvalSet = Literal["text", "repeated_text", "natural_repeats", "repeated_tokens"]  # of sequences with some of each
Confidence = Annotated[float, Field(gt=0, lt=1)]
Significance = Annotated[float, Field(gt=0, lt=1)]


class Bootstrap(StageSettings):
    """What a stage's settings have in common that resamples sentences behind intervals."""

    confidence: Confidence
    resamples: int = Field(ge=1)

    @model_validator(mode="after")
    def _some_resample_beyond(self) -> Self:
        beyond = round((1 - self.confidence) / 2, 12)
        if self.resamples * beyond < 1:
            raise ValueError(
                f"resamples {self.resamples}: none lies beyond the ends of an interval of confidence "
                f"{self.confidence}; draw {math.ceil(1 / beyond)} or more"
            )
        return self


def _earlier_first(pairs: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    for pair in pairs:
        if not 0 <= pair[0] < pair[1]:
            raise ValueError(f"{list(pair)} is no layer and a later one; put the earlier first")
    return pairs


def _smaller_first(share: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= share[0] < share[1] <= 1:
        raise ValueError(f"{list(share)} is no part of a sequence; give two shares, the smaller first")
    return share


Share = Annotated[tuple[float, float], AfterValidator(_smaller_first)]  # from, to; the whole is 0, 1
LayerPairs = Annotated[tuple[tuple[int, int], ...], AfterValidator(_earlier_first)]
