"""Settings of the extract stage."""

from pipeline.settings.base import StageSettings
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"train": ("config.json", "model.safetensors")},
    files=("weights",),
)


class ExtractSettings(StageSettings):
    """How a model folder becomes the table of its weights."""
