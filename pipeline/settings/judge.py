"""Settings of the judge stage."""

from pydantic import Field

from pipeline.settings.base import Slice
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
        "emergence",
        "emergence_order",
    ),
)


class Thresholds(Slice):
    """What each claim's statistic is compared with, in the statistic's own unit."""

    position_position_largest: float
    position_position_matters_most: float
    position_attends_to_previous: float = Field(ge=0, le=1)
    token_attends_to_itself: float
    shift_by_one: float = Field(ge=0, le=1)
    induction: float = Field(ge=0, le=1)
    copying: float = Field(ge=-1, le=1)
    k_composition: float = Field(ge=0)
    second_copy_gain: float
    virtual_heads_matter: float
    most_heads_copy: float = Field(ge=0, le=1)
    single_heads_before_pairs: float
    in_context_learning: float
    induction_is_causal: float
    previous_token_first: float
    phase_change: float


class Roles(Slice):
    """When a head plays a role."""

    attention: float = Field(gt=0, le=1)
    copying: float = Field(ge=-1, le=1)
    significant: float = Field(gt=0, lt=1)


class SmallestRise(Slice):
    """What counts as an event of training, in the measure's own unit."""

    previous_token: float = Field(gt=0)
    k_composition: float = Field(gt=0)
    prefix_matching: float = Field(gt=0)
    copying: float = Field(gt=0)
    loss_drop: float = Field(gt=0)


class JudgeSettings(Slice):
    """How sure a verdict must be, and of what."""

    threads: int = Field(ge=1)
    confidence: float = Field(gt=0, lt=1)
    resamples: int = Field(ge=100)
    seed: int = Field(ge=0)
    validity_resamples: int = Field(ge=100)
    permutations: int = Field(ge=100)
    roles: Roles
    smallest_rise: SmallestRise
    thresholds: Thresholds
    # From the planner, not from conf/: the study's experiments, in its order.
    experiments: tuple[str, ...]
