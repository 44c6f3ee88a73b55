"""Settings of the judge stage."""

from datetime import date
from typing import Any

from pydantic import Field, create_model

from pipeline.claims.catalogue import CLAIMS
from pipeline.settings.base import (
    Confidence,
    Count,
    Fraction,
    Positive,
    Seed,
    Share,
    Significance,
    Slice,
    StageSettings,
    Unit,
)
from pipeline.settings.stage import EVERY, Stage

STAGE = Stage(
    of="study",
    reads={"summarise": (EVERY,)},
    tables=(
        "claims",
        "head_roles",
        "head_matches",
        "intervals",
        "effects",
        "validity",
        "foretelling",
        "emergence",
        "emergence_order",
    ),
)

THRESHOLDS: dict[str, Any] = {claim.name: (float, Field(ge=claim.low, le=claim.high)) for claim in CLAIMS}


class Thresholds(create_model("Thresholds", __base__=Slice, **THRESHOLDS)):
    """What each claim's statistic is compared with, in the statistic's own unit: one threshold a claim, no other."""


DATES: dict[str, Any] = {claim.name: (date, ...) for claim in CLAIMS}


class Since(create_model("Since", __base__=Slice, **DATES)):
    """The date of the commit that set each threshold."""


class Roles(Slice):
    """When a head plays a role."""

    attention: float = Field(gt=0, le=1)
    position: float = Field(gt=0, le=1)
    copying: float = Field(ge=-1, le=1)
    suppression: float = Field(gt=0, le=1)
    relation: float = Field(gt=0, le=1)
    inactive: float = Field(gt=0, le=1)


class SmallestRise(Slice):
    """What counts as an event of training, in the measure's own unit."""

    previous_token: Positive
    k_composition: Positive
    prefix_matching: Positive
    copying: Positive
    loss_drop: Positive


class JudgeSettings(StageSettings):
    """How sure a verdict must be, and of what."""

    confidence: Confidence
    significance: Significance
    power: Fraction
    seed: Seed
    validity_resamples: int = Field(ge=100)
    permutations: int = Field(ge=100)
    early: Share
    middle: Share
    late: Share
    window: float = Field(gt=1)
    fewest_checkpoints: int = Field(ge=5)  # a fit of two levels and two ends of a ramp leaves nothing to judge it by
    neuron: Unit
    head: Unit
    counted: tuple[Count, Count]
    roles: Roles
    smallest_rise: SmallestRise
    thresholds: Thresholds
    since: Since
    # From the planner, not from conf/: the study's experiments, in its order.
    experiments: tuple[str, ...]
