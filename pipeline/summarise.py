"""Put the tables of all runs of a study into one table a kind."""

import json
from pathlib import Path

import pandas as pd

from pipeline.plumbing.artefacts import Paths, provenance_of, read_file, recorded, write
from pipeline.plumbing.stage import main
from pipeline.settings.summarise import RunSettings, SummariseSettings
from pipeline.tables.registry import OF_A_RUN
from pipeline.tables.summarise import RUNS


def run(settings: SummariseSettings, inputs: Paths, outputs: Paths) -> None:
    """Gather and write, a kind of table at a time."""
    folders = {(path.parent.parent.name, path.parent.name): path.parent for path in inputs.files}
    for stage, tables in OF_A_RUN.items():
        for table in tables:
            frames = [
                read_file(table, folders[stage, member.ids[stage]] / f"{table.name}.parquet").assign(
                    experiment=member.experiment, seed=member.seed
                )
                for member in settings.runs
            ]
            write(table.with_run(), pd.concat(frames), outputs)
    write(RUNS, pd.DataFrame([row for member in settings.runs for row in run_rows(member, folders)]), outputs)
    with recorded(outputs, "request.json") as temporary:
        temporary.write_text(json.dumps({"request": settings.request}) + "\n", encoding="utf-8")


def run_rows(member: RunSettings, folders: dict[tuple[str, str], Path]) -> list[dict]:
    """Return a row a stage: where its files are and the settings they were made with."""
    rows = []
    for stage, identity in member.ids.items():
        path = sorted(folders[stage, identity].glob("*.parquet"))[0]
        settings = json.dumps(provenance_of(path)["settings"], sort_keys=True)
        names = {"experiment": member.experiment, "seed": member.seed, "stage": stage, "id": identity}
        rows.append(names | {"settings": settings})
    return rows


if __name__ == "__main__":
    main(SummariseSettings, run)
