"""What a stage is to the workflow: when it runs, what it reads and what it writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

EVERY = "*"  # every stage of a run, or every table that a stage has for readers
WHOLE = "**"  # every file that a stage writes, figures apart


@dataclass(frozen=True)
class Stage:
    """The declaration beside a stage's settings, from which the planner and the Snakefile follow.

    A table goes by its name, any other file by its file name, ending included.
    """

    of: Literal["run", "study", "apart"]  # one job a slice of settings; one a study; one, on request
    reads: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))  # by who wrote it
    tables: tuple[str, ...] = ()  # that readers find in the study's folder
    files: tuple[str, ...] = ()  # that only later stages read
    by_name: tuple[str, ...] = ()  # modules that it finds by name, which no import of its own shows
    gated: bool = False  # only of a model that passed `verify`; so is whatever reads weights
    mem_mb: int = 2000  # what a cluster should set aside, for the models of conf/model
    runtime: int = 60  # minutes, likewise
