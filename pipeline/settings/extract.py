"""Settings of the extract stage."""

from pydantic import Field

from pipeline.settings.base import Slice
from pipeline.settings.stage import Stage

STAGE = Stage(
    of="run",
    reads={"train": ("config.json", "model.safetensors")},
    files=("weights",),
)


class ExtractSettings(Slice):
    """How a model folder becomes the table of its weights."""

    threads: int = Field(ge=1)
