"""Settings of the align stage."""

from pipeline.settings.base import Seed, Slice, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="study",
    reads={"extract": ("weights",)},
    tables=("alignment",),
    gated=True,
    mem_mb=4000,
)


class AlignedRun(Slice):
    """One run of the study, and the jobs that made its vocabulary and its weights."""

    experiment: str
    seed: Seed
    vocabulary: str
    weights: str


class AlignSettings(StageSettings):
    """How chance is drawn, and between which runs."""

    seed: Seed
    # From the planner, not from conf/: what the study is.
    runs: tuple[AlignedRun, ...]
