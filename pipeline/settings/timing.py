"""Settings of the timing stage."""

from pipeline.settings.base import Count, Dpi, StageSettings
from pipeline.settings.stage import Stage
from pipeline.settings.summarise import RunSettings

STAGE = Stage(
    of="apart",
    tables=("stages",),
)


class TimingSettings(StageSettings):
    """How floors are timed and the figure is drawn, and of which runs."""

    dpi: Dpi
    repeats: Count
    # From the planner, not from conf/: what the study is.
    runs: tuple[RunSettings, ...]
