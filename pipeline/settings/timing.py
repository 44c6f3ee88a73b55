"""Settings of the timing stage."""

from pydantic import Field

from pipeline.settings.base import Slice
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="apart",
    tables=("stages",),
)


class TimingSettings(Slice):
    """How the figure is drawn."""

    threads: int = Field(ge=1)
    dpi: int = Field(ge=30, le=600)
