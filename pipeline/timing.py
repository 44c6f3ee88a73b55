"""Say where the time of a study goes: what its jobs took, a row per stage, and what their bare products would take."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd
import torch

from pipeline.benchmarks.floors import FLOORS, Floor, Shape, floor_of, seconds_of
from pipeline.figures.stages import stages
from pipeline.figures.style import save
from pipeline.plumbing.artefacts import Paths, atomic, provenance_of, read_file, read_parts, write
from pipeline.plumbing.stage import main
from pipeline.settings.timing import TimingSettings
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.registry import TABLES
from pipeline.tables.timing import STAGES

MEGABYTE = 2**20  # the workflow's unit of memory


def run(settings: TimingSettings, inputs: Paths, outputs: Paths) -> None:
    """Put the jobs' times in one table, their floors beside them, and draw it."""
    torch.set_num_threads(settings.threads)
    columns = ["stage", "passes", "floor_seconds", "floor_speed"]
    floors = pd.DataFrame(floor_rows(settings, inputs.files), columns=columns)
    frame = by_stage(inputs.files).merge(floors, how="left", on="stage")
    frame = frame.assign(floor_share=frame["floor_seconds"] / frame["cpu_seconds"])
    write(STAGES, frame, outputs)
    figure = stages(frame)
    for kind in ("svg", "png"):
        with atomic(outputs.file(f"stages.{kind}")) as temporary:
            save(figure, temporary, kind, settings.dpi)


def by_stage(files: Iterable[Path]) -> pd.DataFrame:
    """Return the STAGES table of these jobs; a job that ran before its times were noted is left out.

    Raises:
        ValueError: no job left its times.
    """
    jobs = [pd.read_csv(file, sep="\t", na_values="-").assign(stage=stage_of(file)) for file in files if file.exists()]
    if not jobs:
        raise ValueError("no job of this study left its times; make it again with snakemake --forceall")
    groups = pd.concat(jobs).groupby("stage", as_index=False)
    frame = groups.agg(jobs=("s", "size"), seconds=("s", "sum"), longest=("s", "max"), rss=("max_rss", "max"))
    # A sum of nothing but nulls stays null.
    frame["cpu_seconds"] = groups["cpu_time"].sum(min_count=1)["cpu_time"]
    frame["peak_bytes"] = (frame.pop("rss") * MEGABYTE).round().astype("Int64")
    return frame.assign(share=frame["seconds"] / frame["seconds"].sum())


def floor_rows(settings: TimingSettings, files: Iterable[Path]) -> Iterator[dict]:
    """Yield the floor of all jobs of each stage that has one; the speed of its products is measured now."""
    folders = sorted({file.parent for file in files if file.exists() and stage_of(file) in FLOORS})
    for stage in dict.fromkeys(folder.parent.name for folder in folders):
        floors = [floor_in(folder, settings) for folder in folders if folder.parent.name == stage]
        products = [product for floor in floors for product in floor.products]
        operations, seconds = sum(product.operations for product in products), seconds_of(products, settings.repeats)
        if seconds:
            passes = sum(floor.passes for floor in floors)
            yield {"stage": stage, "passes": passes, "floor_seconds": seconds, "floor_speed": operations / seconds}


def floor_in(folder: Path, settings: TimingSettings) -> Floor:
    """Return the floor of the job of this folder, by its settings and what it and others of its run wrote."""
    stage, store = folder.parent.name, folder.parents[1]
    ids = next(run.ids for run in settings.runs if run.ids[stage] == folder.name)

    def table(name: str) -> pd.DataFrame:
        places = (store / maker / made / f"{name}.parquet" for maker, made in ids.items())
        return read_file(TABLES[name], next(place for place in places if place.exists()))

    shape = _shape(store / "extract" / ids["extract"] / f"{WEIGHTS.name}.parquet")
    return floor_of(stage, provenance_of(min(folder.glob("*.parquet")))["settings"], shape, table)


@cache
def _shape(weights: Path) -> Shape:
    parts = read_parts(WEIGHTS, Paths([weights]))
    return Shape.of(pd.concat([part.select(["name", "layer", "head"]).to_pandas() for part in parts]))


def stage_of(file: Path) -> str:
    """Return the stage of the job that left this file: store/<stage>/<id>/*.tsv, or of a study, logs/<stage>.tsv."""
    if file.parent.name != "logs":
        return file.parent.parent.name
    return "render" if file.stem.startswith("render_") else file.stem  # one job an experiment


if __name__ == "__main__":
    main(TimingSettings, run)
