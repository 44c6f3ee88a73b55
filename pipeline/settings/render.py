"""Settings of the render stage."""

from pydantic import Field

from pipeline.settings.base import Dpi, StageSettings
from pipeline.settings.figures import OF_A_STUDY, OF_AN_EXPERIMENT
from pipeline.settings.stage import EVERY, Stage

STAGE = Stage(
    of="study",
    reads={"summarise": (EVERY,), "judge": (EVERY,)},
    by_name=tuple(f"pipeline.figures.{name}" for name in (*OF_AN_EXPERIMENT, *OF_A_STUDY)),
)


class RenderSettings(StageSettings):
    """How figures are drawn."""

    dpi: Dpi
    tokens: int = Field(ge=4, le=64)
    # From the planner, not from conf/: what the study is.
    questions: tuple[tuple[str, str], ...]  # of each experiment, in the study's order
