"""Say where the time of a study goes: what its jobs took, a row per stage."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pipeline.figures.stages import stages
from pipeline.figures.style import save
from pipeline.plumbing.artefacts import Paths, atomic, write
from pipeline.plumbing.stage import main
from pipeline.settings.timing import TimingSettings
from pipeline.tables.timing import STAGES

MEGABYTE = 2**20  # the workflow's unit of memory


def run(settings: TimingSettings, inputs: Paths, outputs: Paths) -> None:
    """Put the jobs' times in one table, and draw it."""
    frame = by_stage(inputs.files)
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


def stage_of(file: Path) -> str:
    """Return the stage of the job that left this file: store/<stage>/<id>/*.tsv, or of a study, logs/<stage>.tsv."""
    if file.parent.name != "logs":
        return file.parent.parent.name
    return "render" if file.stem.startswith("render_") else file.stem  # one job an experiment


if __name__ == "__main__":
    main(TimingSettings, run)
