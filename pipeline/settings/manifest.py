"""Settings of the manifest stage."""

from pipeline.settings.base import StageSettings
from pipeline.settings.stage import EVERY, WHOLE, Stage
from pipeline.settings.summarise import RunSettings

STAGE = Stage(
    of="study",
    reads={EVERY: (WHOLE,), "align": (WHOLE,), "summarise": (WHOLE,), "judge": (WHOLE,)},
    tables=("manifest",),
    mem_mb=4000,
)


class ManifestSettings(StageSettings):
    """Which runs make up the study."""

    # From the planner, not from conf/: what the study is.
    runs: tuple[RunSettings, ...]
