"""The tables of two runs that share what they have in common, put together."""

import json

import pandas as pd
import pytest
from made_up_rows import filled

from pipeline import summarise
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.summarise import SummariseSettings
from pipeline.tables.registry import OF_A_RUN
from pipeline.tables.summarise import RUNS


@pytest.fixture
def study(tmp_path):
    """Both runs read one corpus, of 7 documents; their curves begin at 10 and 20 tokens. All else is empty."""
    rows = {"corpus": {"shared": 7}, "training_curve": {"first": 10, "second": 20}}
    ids = [dict.fromkeys(OF_A_RUN, name) | {"prepare": "shared"} for name in ("first", "second")]
    inputs, outputs = [], [tmp_path / name for name in ("runs.parquet", "request.json")]
    for stage, tables in OF_A_RUN.items():
        for table in tables:
            outputs.append(tmp_path / f"{table.name}.parquet")
            for identity in {run[stage] for run in ids}:
                path = tmp_path / "store" / stage / identity / f"{table.name}.parquet"
                number = rows.get(table.name, {}).get(identity)
                kept = [] if number is None else [{"documents" if table.name == "corpus" else "tokens": number}]
                spec = json.dumps({"settings": {"stage": stage, "id": identity}})
                write(table, filled(table, kept), Paths([path], spec))
                inputs.append(path)
    runs = [{"experiment": "base", "seed": seed, "ids": run} for seed, run in enumerate(ids)]
    settings = SummariseSettings.parse({"threads": 1, "request": "study=mine", "runs": runs})
    summarise.run(settings, Paths(inputs), made := Paths(outputs))
    return made


def test_rows_say_whose_they_are_and_what_runs_share_is_repeated(study):
    curve = read(OF_A_RUN["train"][0].with_run(), study)
    assert curve[["experiment", "seed", "tokens"]].to_numpy().tolist() == [["base", 0, 10], ["base", 1, 20]]
    corpus = read(OF_A_RUN["prepare"][0].with_run(), study)
    assert corpus[["seed", "documents"]].to_numpy().tolist() == [[0, 7], [1, 7]]


def test_runs_say_where_each_stage_lies_and_how_it_was_made(study):
    runs = read(RUNS, study).set_index(["seed", "stage"])
    assert len(runs) == 2 * len(OF_A_RUN)
    assert runs.loc[(0, "prepare"), "id"] == runs.loc[(1, "prepare"), "id"] == "shared"
    assert json.loads(runs.loc[(1, "train"), "settings"]) == {"stage": "train", "id": "second"}


def test_what_was_asked_for_is_kept(study):
    assert json.loads(study.file("request.json").read_text()) == {"request": "study=mine"}


def test_every_table_of_every_run_is_there(study):
    for tables in OF_A_RUN.values():
        for table in tables:
            assert isinstance(read(table.with_run(), study), pd.DataFrame)
