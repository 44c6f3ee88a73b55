"""Tiny studies, of a claims table, a table of heads and one stage's files, held against each other."""

import json

import pandas as pd
import pytest
from made_up_rows import filled

from pipeline.documentation import reproduction
from pipeline.plumbing import graph
from pipeline.plumbing.artefacts import Paths, recorded, write
from pipeline.tables.judge.claims import CLAIMS
from pipeline.tables.registry import TABLES
from pipeline.tables.summarise import RUNS

VERSIONS = {"torch": "2.13.0"}
HEADS = TABLES["ablations"].with_run()


def study(root, scores=(0.5, 0.25), verdict="reproduced", threads=1, experiments=("base",), versions=VERSIONS):
    """A study of a trained run each experiment."""
    folder = root / "results/studies/mine"

    def paths(place, *names):
        spec = json.dumps({"settings": {}, "versions": versions, "job": place})
        return Paths([root / place / name for name in names], spec)

    runs = []
    for place, experiment in enumerate(experiments):
        job = f"results/store/train/{place:012}"
        made = paths(job, *graph.writes_of("train"))
        for name in graph.STAGES["train"].files:
            with recorded(made, name) as temporary:
                temporary.write_text(f"{name} {scores}")
        write(TABLES["training_curve"], filled(TABLES["training_curve"], []), made)
        settings = json.dumps({"threads": threads, "model": {"n_heads": 2}})
        runs.append({"experiment": experiment, "seed": 0, "stage": "train", "id": f"{place:012}", "settings": settings})
    of_the_study = paths("results/studies/mine", "runs.parquet", "claims.parquet", "ablations.parquet")
    write(RUNS, pd.DataFrame(runs), of_the_study)
    claims = [{"experiment": each, "claim": "copying", "value": scores[0], "verdict": verdict} for each in experiments]
    write(CLAIMS, filled(CLAIMS, claims).assign(n_seeds=1, power=0.8, confidence=0.95, significance=0.05), of_the_study)
    rows = [
        {"experiment": each, "seed": 0, "head": head, "difference": score}
        for each in experiments
        for head, score in enumerate(scores)
    ]
    write(HEADS, filled(HEADS, rows), of_the_study)
    return folder


def run(capsys, *arguments):
    status = reproduction.main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_a_study_is_equal_to_itself(tmp_path, capsys):
    mine = study(tmp_path)
    status, told, _ = run(capsys, mine, "--against", mine)
    assert status == 0
    assert told.splitlines() == [
        "runs: 1 in common, of 1 here and 1 there",
        "  equal in all of them: train",
        "tables of the study: 2 equal",
        "0 of 1 verdicts differ; of 1 reproduced ones, 0 are not there",
    ]


def test_close_tables_that_conclude_the_same_are_a_reproduction(tmp_path, capsys):
    mine = study(tmp_path / "a", threads=4, scores=(0.5, 0.25))
    theirs = study(tmp_path / "b", versions={"torch": "2.14.0"}, scores=(0.5, 0.250002))
    status, told, _ = run(capsys, mine, "--against", theirs, "--tolerance", "0.00001")
    assert status == 0
    assert told.splitlines() == [
        "setting train.threads=4, there 1 (in 1 runs)",
        "version torch 2.13.0, there 2.14.0",
        "runs: 1 in common, of 1 here and 1 there",
        "  different in 1: train (checkpoints.safetensors, config.json, model.safetensors, tokenizer.json)",
        "tables of the study: 1 close, 1 equal",
        "  close ablations: largest difference 2e-06 in difference, relative 8e-06 in difference",
        "0 of 1 verdicts differ; of 1 reproduced ones, 0 are not there",
    ]
    assert "  different ablations: 1 of 2 rows, in difference; " in run(capsys, mine, "--against", theirs)[1]


def test_a_verdict_that_differs_fails(tmp_path, capsys):
    mine, theirs = study(tmp_path / "a"), study(tmp_path / "b", verdict="undecided")
    status, told, _ = run(capsys, mine, "--against", theirs)
    assert status == 1
    assert "  different claims: 1 of 1 rows, in verdict\n" in told
    assert told.splitlines()[-2] == "base copying: reproduced (0.5), there undecided (0.5)"


def test_experiments_in_common_are_compared_alone(tmp_path, capsys):
    mine, theirs = study(tmp_path / "a"), study(tmp_path / "b", experiments=("base", "tied"))
    status, told, _ = run(capsys, mine, "--against", theirs)
    assert status == 0
    assert "runs: 1 in common, of 1 here and 2 there\n" in told
    assert "tables of the study: 2 equal\n" in told
    assert "experiments only there, which are not compared: tied\n" in told


@pytest.mark.parametrize("named", ["", "manifest.parquet"])
def test_what_is_published_is_small_and_enough_to_compare_with(named, tmp_path, capsys):
    mine, published = study(tmp_path / "a"), tmp_path / "reference"
    assert run(capsys, mine, "--write", published)[0] == 0
    assert {file.name for file in published.iterdir()} == {"manifest.parquet", "claims.parquet", "runs.parquet"}
    status, told, _ = run(capsys, mine, "--against", published / named)
    assert (status, told.splitlines()[1:3]) == (0, ["  equal in all of them: train", "tables of the study: 2 equal"])
    other = study(tmp_path / "b", scores=(0.5, 0.75), verdict="undecided")
    status, told, _ = run(capsys, other, "--against", published / named)
    assert status == 1
    assert "  different, by how much is not known, for only digests are there: ablations\n" in told
    assert "  different claims: 1 of 1 rows, in verdict" in told


def test_digests_of_more_experiments_say_nothing_of_fewer(tmp_path, capsys):
    mine, theirs = study(tmp_path / "a"), study(tmp_path / "b", experiments=("base", "tied"))
    run(capsys, theirs, "--write", tmp_path / "reference")
    status, told, _ = run(capsys, mine, "--against", tmp_path / "reference")
    assert status == 0
    assert "  equal in all of them: train\ntables of the study: 1 unknown, 1 equal\n  unknown, for only digests" in told


def test_a_table_that_one_lacks_is_missing(tmp_path, capsys):
    mine, theirs = study(tmp_path / "a"), study(tmp_path / "b")
    (mine / "ablations.parquet").unlink()
    assert "  missing ablations: only there\n" in run(capsys, mine, "--against", theirs)[1]
    assert "  missing ablations: only here\n" in run(capsys, theirs, "--against", mine)[1]


def test_a_mistake_is_one_line(tmp_path, capsys):
    mine = study(tmp_path)
    status, _, told = run(capsys, mine, "--against", tmp_path / "nowhere")
    assert status == 2
    assert (
        told
        == f"verify: {tmp_path}/nowhere: no study, for it has no claims.parquet; name a folder of results/studies\n"
    )
    damaged = study(tmp_path / "b")
    (damaged / "claims.parquet").write_bytes((damaged / "claims.parquet").read_bytes()[:-1])
    status, _, told = run(capsys, mine, "--against", damaged)
    assert (status, "damaged, it is not what was written" in told, told.count("\n")) == (2, True, 1)


def test_tables_of_older_code_are_told_apart_by_what_is_no_number():
    rows = pd.DataFrame({"layer": [0], "name": ["x"], "value": [0.5]})
    assert reproduction.key_of("follow.parquet", rows) == ["layer", "name"]
    assert reproduction.key_of("ablations.parquet", rows.assign(experiment="base")) == ["experiment", "layer"]
