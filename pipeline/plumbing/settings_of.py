"""From a stage's name to its settings class; imports no stage."""

import importlib

from pipeline.settings.base import Slice


def settings_of(stage: str) -> type[Slice]:
    """Return `XSettings` of pipeline/settings/x.py."""
    module = importlib.import_module(f"pipeline.settings.{stage}")
    return getattr(module, f"{stage.title().replace('_', '')}Settings")
