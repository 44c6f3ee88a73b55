"""Settings of the known_answers stage."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from pipeline.settings.base import Confidence, Dpi, Seed, Slice, StageSettings
from pipeline.settings.stage import Stage
from pipeline.settings.train import CopiesSettings, OptimisationSettings
from pipeline.settings.verify import Allowed, VerifySettings

STAGE = Stage(
    of="apart",
    tables=("known_answers", "injected_bugs", "definition_power", "definition_curves"),
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


def _within_probability(strength: tuple[float, float]) -> tuple[float, float]:
    if not 0 < strength[0] <= strength[1] < 1:
        raise ValueError(f"{list(strength)} is no range of probabilities; give two within 0 and 1, the smaller first")
    return strength


Strength = Annotated[tuple[float, float], AfterValidator(_within_probability)]


class PlanSettings(Slice):
    """How large models are whose heads are known, and how heads are planted in them."""

    d_vocab: int = Field(ge=2)
    n_ctx: int = Field(ge=2)
    d_model: int = Field(ge=1)
    strong: Strength
    weak: Strength
    resting: Strength
    noise: tuple[Annotated[float, Field(gt=0)], ...] = Field(min_length=1)
    least_kept: float = Field(ge=0, le=1)
    embedding_sd: float = Field(gt=0)
    position_sd: float = Field(gt=0)
    query_key_scale: float = Field(gt=0)


class TextSettings(Slice):
    """The sentences they are trained on."""

    sentences: int = Field(ge=1)
    spread: float = Field(gt=0)
    batch: int = Field(ge=1)
    copies: CopiesSettings


class CountsSettings(Slice):
    """How many models of each kind: two at least, a half each."""

    wired: int = Field(ge=2)
    disguised: int = Field(ge=2)
    weak: int = Field(ge=2)
    resting: int = Field(ge=2)
    noisy: int = Field(ge=2)
    trained: int = Field(ge=2)
    look_alike: int = Field(ge=2)


class PowerSettings(Slice):
    """Which models definitions of scores are judged on, on how many sentences, and by what."""

    models: CountsSettings
    never_trained: int = Field(ge=1)
    plan: PlanSettings
    text: TextSettings
    optimisation: OptimisationSettings
    sentences: int = Field(ge=2)
    periods: tuple[Annotated[int, Field(ge=2)], ...] = Field(min_length=2)
    kept_on: int = Field(ge=1)
    sizes: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    draws: int = Field(ge=1)
    level: float = Field(gt=0, lt=1)
    power: float = Field(gt=0, lt=1)
    near: float = Field(gt=0, lt=1)
    curve: int = Field(ge=2)
    prevalence: float = Field(gt=0, lt=1)
    confidence: Confidence
    thresholds: dict[str, dict[str, float]]
    tile: int = Field(ge=1)
    seed: int = Field(ge=0)


class KnownAnswersSettings(StageSettings):
    """How closely answers must be met, and by which models; what must stop a wrong reading."""

    tolerance: Allowed
    random_sds: float = Field(gt=0, le=10)
    verify: VerifySettings
    bug_tokens: int = Field(ge=2)
    power: PowerSettings
    dpi: Dpi
    # From the planner, not from conf/: what the study is.
    work: Work
