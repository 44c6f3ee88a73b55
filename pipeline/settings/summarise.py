"""Settings of the summarise stage."""

from pipeline.settings.base import Seed, Slice, StageSettings
from pipeline.settings.stage import EVERY, Stage

STAGE = Stage(
    of="study",
    reads={EVERY: (EVERY,)},
    tables=(EVERY, "runs"),  # what it reads, of all runs
    files=("request.json",),
)


class RunSettings(Slice):
    """One run of the study, and the job that made each of its stages."""

    experiment: str
    seed: Seed
    ids: dict[str, str]


class SummariseSettings(StageSettings):
    """Which runs make up the study."""

    # From the planner, not from conf/: what the study is.
    request: str
    runs: tuple[RunSettings, ...]
