"""The stage on two of its networks, from text to verdict."""

import json
from dataclasses import replace

import pytest

from pipeline import known_answers
from pipeline.circuits.closed_forms import of_patterns
from pipeline.plumbing.artefacts import Paths, read, read_file
from pipeline.plumbing.planner import plan_of
from pipeline.plumbing.request import Request
from pipeline.settings.known_answers import KnownAnswersSettings
from pipeline.tables.known_answers import KNOWN_ANSWERS

MODELS = ("induction_disguised", "random_init")
WRITES = ("known_answers.parquet", "known_answers.svg", "known_answers.png")


@pytest.fixture(scope="module")
def settings():
    request = Request.of_study("known_answers")
    chosen = tuple(experiment for experiment in request.experiments if experiment.name in MODELS)
    plan = plan_of(replace(request, experiments=chosen))
    return KnownAnswersSettings.parse(json.loads(plan.study_jobs["known_answers"].spec)["settings"])


def outputs(folder):
    return Paths([folder / name for name in WRITES], '{"spec": 1}')


@pytest.fixture(scope="module")
def done(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("known_answers")
    known_answers.run(settings, Paths([]), outputs(folder))
    return folder


def test_every_known_score_is_measured(done):
    answers = read(KNOWN_ANSWERS, outputs(done))
    assert answers["passed"].all()
    wired = answers[answers["model"] == "induction_disguised"]
    assert (wired["expected"].notna() ^ wired["reason"].notna()).all()
    assert not (wired["reason"] == known_answers.UNLISTED).any()
    assert wired["expected"].notna().mean() > 0.9
    known = wired.dropna(subset=["expected"])
    assert (known["absolute_error"] <= 1e-6 * known["expected"].abs().clip(lower=1)).all()
    composition = {f"{through}_composition" for through in "QKV"}
    assert set(known["metric"]) >= {"induction", "copying", *composition, "virtual", "loss", "ablation", "edge"}
    assert all((done / name).stat().st_size > 0 for name in WRITES)


def test_every_model_went_through_every_stage(done, settings):
    for run in settings.work.runs:
        assert all(any((done / "runs" / stage / made).iterdir()) for stage, made in run.ids.items())


def test_a_wrong_answer_stops_the_run_and_leaves_the_table(done, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(known_answers, "run_jobs", lambda *arguments: None)
    (tmp_path / "runs").symlink_to(done / "runs")
    monkeypatch.setitem(of_patterns.AVERAGES, "most_recent", of_patterns.AVERAGES["detector_mul"])
    with pytest.raises(
        ValueError, match=r"known answers are wrong: induction_disguised, head 1\.0, induction most_recent"
    ):
        known_answers.run(settings, Paths([]), outputs(tmp_path))
    assert not (tmp_path / "known_answers.parquet").exists()
    left = read_file(replace(KNOWN_ANSWERS, name="failed_known_answers"), tmp_path / "failed_known_answers.parquet")
    assert set(left.loc[~left["passed"], "definition"]) == {"most_recent", "most_recent_no_begin"}


def test_a_stage_that_refuses_is_named(settings, tmp_path):
    jobs = settings.work.model_copy(update={"slices": ({},) * len(settings.work.slices)})
    with pytest.raises(ValueError, match="prepare of induction_disguised"):
        known_answers.run(settings.model_copy(update={"work": jobs}), Paths([]), outputs(tmp_path))
