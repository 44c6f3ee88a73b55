"""What every stage's settings have in common."""

import json
import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

LARGEST = 10**9  # number that a setting may be, seeds apart: what is meant is far below it
Count = Annotated[int, Field(ge=1)]
Length = Annotated[int, Field(ge=2)]  # tokens of what is repeated; of one alone, no token foretells another
Positive = Annotated[float, Field(gt=0)]
Unit = Annotated[str, Field(pattern=r"^\d+\.\d+$")]  # layer.head, or layer.neuron
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what a generator and a table's column hold
Fraction = Annotated[float, Field(gt=0, lt=1)]
Dpi = Annotated[int, Field(ge=30, le=600)]


class Slice(BaseModel):
    """One stage's slice of the configuration: `conf/<stage>/`, as composed.

    A subclass gives names, types and ranges, never values. What a stage shares with others it names by
    interpolation in its YAML (`model: ${model}`), so that the slice is all the stage depends on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Validate plain values; JSON's rules, so a list may fill a tuple but a string no number."""
        return cls.model_validate_json(json.dumps(values))

    @field_validator("*", mode="after")
    @classmethod
    def _in_reason(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse a number beyond all reason, and a list that names something twice."""
        values = value if isinstance(value, tuple) else (value,)
        for each in values:
            if isinstance(each, int | float) and abs(each) > LARGEST and not str(info.field_name).endswith("seed"):
                whole = "" if each is value else f"{each} "
                raise ValueError(f"{whole}is beyond {LARGEST}, the largest number that a setting may be; lower it")
        plain = all(isinstance(each, str | int | float | tuple) for each in values)
        if plain and len(set(values)) < len(values):
            twice = next(each for each in values if values.count(each) > 1)
            raise ValueError(f"{list(twice) if isinstance(twice, tuple) else twice} is there twice; give it once")
        return value

    def files(self) -> list[str]:
        """Paths of a person's own files that the stage will read: the workflow watches them."""
        return []


class StageSettings(Slice):
    """What every stage's settings have in common."""

    of_the_workflow: ClassVar[tuple[str, ...]] = ()  # settings that only the workflow gives a value, a job each

    threads: int = Field(ge=1, le=1024)


EvalSet = Literal["text", "repeated_text", "natural_repeats", "repeated_tokens"]  # of sequences with some of each
Confidence = Significance = Fraction


class Bootstrap(StageSettings):
    """What a stage's settings have in common that resamples sentences behind intervals."""

    confidence: Confidence
    resamples: Count

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
