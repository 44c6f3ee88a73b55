"""Settings of the timing stage."""

from pydantic import Field

from pipeline.settings.base import StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="apart",
    tables=("stages",),
)


class TimingSettings(StageSettings):
    """How the figure is drawn."""

    dpi: int = Field(ge=30, le=600)
