"""A finished study: its tables as frames, and where the files of its runs are."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.ask.printing import Section
from pipeline.ask.where import chosen
from pipeline.plumbing import intact
from pipeline.plumbing.errors import nearest
from pipeline.plumbing.plan import STUDIES

RUNS = "runs.parquet"


@dataclass(frozen=True)
class Study:
    """A folder of tables; each is an attribute, read when it is first asked for."""

    folder: Path

    @cached_property
    def tables(self) -> list[str]:
        """Names of the tables that are there."""
        return sorted(file.stem for file in self.folder.glob("*.parquet"))

    def table(self, name: str) -> pd.DataFrame:
        """Read a table, if it is as it was written.

        Raises:
            ValueError: there is none of this name, or it is damaged.
        """
        if name not in self.tables:
            raise ValueError(f"{self.folder}: has no table {name}{nearest(name, self.tables)}")
        file = self.folder / f"{name}.parquet"
        intact.check_sealed(file)
        return pd.read_parquet(file)

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Read the table of this name."""
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            frame = self.table(name)
        except ValueError as error:
            raise AttributeError(str(error)) from error
        self.__dict__[name] = frame
        return frame

    def run(self, experiment: str | None = None, seed: int | None = None) -> "StudyRun":
        """Return a run; of the first experiment, and its first seed, where none is named.

        Raises:
            ValueError: the study has none such.
        """
        runs = self.table("runs")
        experiments = [str(name) for name in dict.fromkeys(runs["experiment"])]
        chosen = experiments[0] if experiment is None else experiment
        if chosen not in experiments:
            raise ValueError(f"{self.folder}: has no experiment {chosen}{nearest(chosen, experiments)}")
        runs = runs[runs["experiment"] == chosen]
        seeds = sorted(map(int, set(runs["seed"])))
        own = seeds[0] if seed is None else seed
        if own not in seeds:
            raise ValueError(f"{self.folder}: {chosen} has no seed {own}; it has {', '.join(map(str, seeds))}")
        rows = runs[runs["seed"] == own]
        ids = {str(stage): str(id) for stage, id in zip(rows["stage"], rows["id"], strict=True)}
        settings = {str(stage): json.loads(text) for stage, text in zip(rows["stage"], rows["settings"], strict=True)}
        return StudyRun(self, chosen, own, ids, settings)


@dataclass(frozen=True)
class StudyRun:
    """One seed of one experiment: which jobs made its files, with which settings."""

    study: Study
    experiment: str
    seed: int
    ids: dict[str, str]  # by stage
    settings: dict[str, dict[str, Any]]  # by stage

    def folder(self, stage: str) -> Path:
        """Return where a stage's files of this run are."""
        return self.study.folder.parent.parent / "store" / stage / self.ids[stage]

    def rows(self, table: str, **which: Any) -> pd.DataFrame:
        """Return this run's rows of a table, of those that have these values; none where the table is not there."""
        if table not in self.study.tables:
            return pd.DataFrame()
        frame = getattr(self.study, table)
        for name, value in {"experiment": self.experiment, "seed": self.seed, **which}.items():
            frame = frame[frame[name] == value]
        return frame.drop(columns=["experiment", "seed"])


def study_in(folder: str | Path) -> Study:
    """Return the study in a folder, or of this name in results/studies.

    Raises:
        ValueError: there is none.
    """
    for place in (Path(folder), Path(STUDIES) / folder):
        if (place / RUNS).is_file():
            return Study(place.resolve())
    raise ValueError(f"{folder}: no study there, for it holds no {RUNS}; make it first: snakemake --config study=...")


def is_study(name: str) -> bool:
    """Whether a study is in this folder, or has this name."""
    return any((place / RUNS).is_file() for place in (Path(name), Path(STUDIES) / name))


def table_section(study: Study, name: str, where: str, columns: str, by: str, limit: int) -> Section:
    """Return rows of a table, chosen, sorted and cut.

    Args:
        study: whose.
        name: of the table.
        where: a condition; see `where.py`.
        columns: to keep, with commas; all if empty.
        by: column to sort by, largest first; the table's order if empty.
        limit: rows shown; 0 for all.

    Raises:
        ValueError: a column is not there, or the condition cannot be read.
    """
    frame = chosen(study.table(name), where) if where else study.table(name)
    kept = [column.strip() for column in columns.split(",") if column.strip()]
    for column in [*kept, *([by] if by else [])]:
        if column not in frame:
            raise ValueError(f"table {name}: has no column {column}{nearest(column, list(frame.columns))}")
    frame = frame.sort_values(by, ascending=False, kind="stable") if by else frame
    frame = frame[kept] if kept else frame
    shown = frame.head(limit) if limit else frame
    return Section(name, frame, shown, f"{len(shown)} of {len(frame)} rows")


def run_named(name: str) -> StudyRun | None:
    """Return the run that a name means: `STUDY`, `STUDY:EXPERIMENT` or `STUDY:EXPERIMENT/SEED`; None if no study does.

    Raises:
        ValueError: the study has no such run.
    """
    where, _, run = name.partition(":")
    if not is_study(where):
        return None
    experiment, _, seed = run.partition("/")
    if seed and not seed.isdigit():
        raise ValueError(f"{name}: {seed} is no seed; write STUDY:EXPERIMENT/SEED, such as smoke:base/0")
    return study_in(where).run(experiment or None, int(seed) if seed else None)
