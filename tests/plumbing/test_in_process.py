"""Jobs of two models, run in this process and a pool: only the stage that needs no model, on random tokens."""

import json

import pytest

from pipeline.plumbing.artefacts import provenance_of
from pipeline.plumbing.in_process import run_jobs
from pipeline.settings.known_answers import PlannedJob, PlannedRun, Work


def prepared(seed, heldout=0.2):
    return {
        "data": {
            "kind": "repeated_tokens",
            "documents": 40,
            "document_tokens": 20,
            "seed": seed,
            "heldout_fraction": heldout,
        },
        "tokenizer": {"kind": "none", "d_vocab": 8},
        "other": [],
        "model_path": None,
        "threads": 1,
    }


def work(**of_experiments):
    """Two runs, each with a job of its own and one that both need."""
    jobs = [PlannedJob(stage="prepare", id="shared", experiment="a", made_from=(), slice=0)]
    slices = [prepared(0)]
    for experiment, settings in of_experiments.items():
        jobs.append(PlannedJob(stage="prepare", id=experiment, experiment=experiment, made_from=(), slice=len(slices)))
        slices.append(settings)
    runs = [PlannedRun(experiment=name, seed=0, ids={"prepare": "shared", "own": name}) for name in of_experiments]
    return Work(runs=tuple(runs), jobs=tuple(jobs), slices=tuple(slices), code={})


def test_every_job_writes_into_a_folder_of_its_own(tmp_path):
    (tmp_path / "runs/left").mkdir(parents=True)
    run_jobs(work(a=prepared(1), b=prepared(2)), tmp_path / "runs", json.dumps({"by": "test"}), 2)
    assert {path.name for path in (tmp_path / "runs/prepare").iterdir()} == {"shared", "a", "b"}
    assert not (tmp_path / "runs/left").exists()
    tokens = [tmp_path / f"runs/prepare/{job}/tokens.parquet" for job in ("a", "b")]
    assert tokens[0].read_bytes() != tokens[1].read_bytes()
    assert provenance_of(tokens[0]) == {"by": "test"}


def test_a_stage_that_refuses_is_named_with_the_experiment(tmp_path):
    with pytest.raises(ValueError, match=r"prepare of b: .* documents are held out"):
        run_jobs(work(a=prepared(1), b=prepared(1, heldout=0.9999)), tmp_path / "runs", "{}", 1)
