"""Settings of the timing stage."""

from pipeline.settings.base import Dpi, StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="apart",
    tables=("stages",),
)


class TimingSettings(StageSettings):
    """How the figure is drawn."""

    dpi: Dpi
