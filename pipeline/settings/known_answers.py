"""Settings of the known_answers stage."""

from typing import Any

from pydantic import Field

from pipeline.settings.base import Dpi, Seed, Slice, StageSettings
from pipeline.settings.stage import Stage
from pipeline.settings.verify import Allowed, VerifySettings

STAGE = Stage(
    of="apart",
    tables=("known_answers", "injected_bugs"),
)


class PlannedJob(Slice):
    """One stage of one model."""

    stage: str
    id: str
    experiment: str  # the first that needs it
    made_from: tuple[str, ...]  # <stage>/<id> of what it reads
    slice: int  # place of its settings in `slices`


class PlannedRun(Slice):
    """One model, and the job that makes each of its stages."""

    experiment: str
    seed: Seed
    ids: dict[str, str]


class Work(Slice):
    """All that is to be run: settings that jobs share are there once, as a command line is not endless."""

    runs: tuple[PlannedRun, ...]
    jobs: tuple[PlannedJob, ...]
    slices: tuple[dict[str, Any], ...]
    code: dict[str, str]  # of every stage, so that a changed one is run again

    def model_of(self, run: PlannedRun) -> dict[str, Any]:
        """Return the settings of a run's model."""
        (trained,) = (job for job in self.jobs if (job.stage, job.id) == ("train", run.ids["train"]))
        return self.slices[trained.slice]["model"]


class KnownAnswersSettings(StageSettings):
    """How closely answers must be met, and by which models; what must stop a wrong reading."""

    tolerance: Allowed
    random_sds: float = Field(gt=0, le=10)
    verify: VerifySettings
    bug_tokens: int = Field(ge=2)
    dpi: Dpi
    # From the planner, not from conf/: what the study is.
    work: Work
