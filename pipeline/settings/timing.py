"""Settings of the timing stage."""

from pydantic import Field

from pipeline.settings.base import Slice


class TimingSettings(Slice):
    """How the figure is drawn."""

    threads: int = Field(ge=1)
    dpi: int = Field(ge=30, le=600)
