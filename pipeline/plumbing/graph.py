"""The stages, and which of whose files each reads: read from the declarations beside their settings.

Settings modules are found by name and not imported here by statement: what one stage declares is no code of another.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from pathlib import Path

import pipeline.settings
from pipeline.plumbing.intact import RECORD, beside
from pipeline.settings.base import StageSettings
from pipeline.settings.stage import EVERY, WHOLE, Stage

# Nothing is said of a model that was not verified; but what is said does not depend on how it was.
GATE = "verify"


def _declared() -> dict[str, Stage]:
    names = [module.name for module in pkgutil.iter_modules(pipeline.settings.__path__)]
    modules = {name: importlib.import_module(f"pipeline.settings.{name}") for name in names}
    return {name: module.STAGE for name, module in modules.items() if hasattr(module, "STAGE")}


def in_order(stages: dict[str, Stage]) -> dict[str, Stage]:
    """Return stages such that each comes after those whose files it reads; runs' before studies'.

    Raises:
        ValueError: a stage reads of one that is not declared, or of itself by a detour.
    """
    ordered: dict[str, Stage] = {}
    waiting = dict(sorted(stages.items(), key=lambda item: ("run", "study", "apart").index(item[1].of)))
    while waiting:
        ready = [name for name, stage in waiting.items() if upstream_of(stage) <= ordered.keys()]
        if not ready:
            raise ValueError(f"stages {', '.join(waiting)} read of each other, or of a stage that is not declared")
        ordered[ready[0]] = waiting.pop(ready[0])
    return ordered


def upstream_of(stage: Stage) -> set[str]:
    """Return the stages whose files a stage reads by name, its gate among them."""
    return {*stage.reads, *([GATE] if stage.gated else [])} - {EVERY}


STAGES = in_order(_declared())
OF_A_RUN = {name: stage for name, stage in STAGES.items() if stage.of == "run"}
OF_A_STUDY = {name: stage for name, stage in STAGES.items() if stage.of != "run"}


def tables_of(name: str) -> list[str]:
    """Return the tables for readers that a stage writes."""
    stage = STAGES[name]
    gathered = [table for maker in OF_A_RUN for table in tables_of(maker)] if EVERY in stage.tables else []
    return [*gathered, *(table for table in stage.tables if table != EVERY)]


def reads_of(name: str) -> dict[str, list[str]]:
    """Return the files that a stage reads, by the stage that wrote them; those of its gate last."""
    reads: dict[str, list[str]] = {}
    for maker, names in STAGES[name].reads.items():
        for made_by in OF_A_RUN if maker == EVERY else [maker]:
            # Of a stage without tables for readers, one file: it says what the stage was set to.
            every = tables_of(made_by) or OF_A_RUN[made_by].files[:1]
            reads[made_by] = writes_of(made_by) if WHOLE in names else _with_records(every if EVERY in names else names)
    if STAGES[name].gated:
        reads[GATE] = _with_records(tables_of(GATE))
    return reads


def writes_of(name: str) -> list[str]:
    """Return the files that a stage writes, figures apart."""
    return _with_records((*tables_of(name), *STAGES[name].files))


def _with_records(names: Iterable[str]) -> list[str]:
    """Return the files of these names, and the records beside those that are no tables."""
    files = [file_of(name) for name in names]
    return [*files, *(beside(Path(file)).name for file in files if not file.endswith(".parquet"))]


def told(name: str) -> str:
    """Return in words what a stage reads and writes, records apart."""

    def named(files: list[str]) -> str:
        return ", ".join(file for file in files if not file.endswith(RECORD))

    reads = "; ".join(f"{named(files)} (of {maker})" for maker, files in reads_of(name).items())
    return f"Reads {reads or 'nothing but its settings'}. Writes {named(writes_of(name)) or 'figures'}."


def file_of(name: str) -> str:
    """Return the file of a table; any other file is called by its own name already."""
    return name if "." in name else f"{name}.parquet"


def settings_of(stage: str) -> type[StageSettings]:
    """Return `XSettings` of pipeline/settings/x.py."""
    module = importlib.import_module(f"pipeline.settings.{stage}")
    return getattr(module, f"{stage.title().replace('_', '')}Settings")
