"""Trials of stages by hand, on files that a study is said to have made."""

from argparse import Namespace
from pathlib import Path

import pytest

from pipeline.plumbing import by_hand
from pipeline.plumbing.planner import plan


def arguments(study="smoke", experiment="base", seed=None, overrides=()):
    return Namespace(study=study, experiment=experiment, seed=seed, overrides=list(overrides))


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The plan of the smoke study, in a folder where all its files are there, and empty."""
    monkeypatch.chdir(tmp_path)
    planned = plan({"study": "smoke"})
    for job in (*planned.jobs.values(), *planned.study_jobs.values()):
        for name in planned.writes(job.stage, job.id or "{id}"):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()
    return planned


def test_a_trial_reads_what_the_workflow_would_and_writes_to_scratch(made):
    spec, inputs, outputs = by_hand.trial("score", arguments(seed=1))
    job = made.jobs["score", made.runs[1].ids["score"]]
    assert spec == job.spec
    assert [str(file) for file in inputs.files] == made.reads(job)
    assert outputs.file("head_scores.parquet") == Path("results/scratch/score/head_scores.parquet")


def test_a_stage_of_the_study_reads_the_study(made):
    spec, inputs, _ = by_hand.trial("judge", arguments(overrides=["judge.permutations=150"]))
    assert '"permutations":150' in spec
    assert inputs.file("head_scores.parquet") == Path("results/studies/smoke/head_scores.parquet")


def test_where_time_went_is_read_from_what_was_noted(made):
    note = Path("results/studies/smoke/logs/judge.tsv")
    note.parent.mkdir(parents=True)
    note.touch()
    assert by_hand.trial("timing", arguments())[1].files == [note]


@pytest.mark.parametrize(
    ("stage", "asked", "message"),
    [
        ("score", {"experiment": "bas"}, "--experiment bas: not in study smoke; did you mean base"),
        ("score", {"study": "smok"}, "study=smok: no such study; did you mean smoke"),
        ("score", {"overrides": ["score.drawz=3"]}, "no such setting; did you mean score.draws"),
        ("score", {"overrides": ["train.steps=61"]}, "is missing; run snakemake --config study=smoke first"),
    ],
)
def test_a_wrong_trial_is_one_line(made, stage, asked, message):
    with pytest.raises(ValueError, match=message):
        by_hand.trial(stage, arguments(**asked))
