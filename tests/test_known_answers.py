"""The stage on two of its networks, from text to verdict, and on every bug."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline import known_answers
from pipeline.circuits.closed_forms import of_patterns
from pipeline.circuits.definitions.heads import BEHIND
from pipeline.circuits.definitions.protocols import PROTOCOLS
from pipeline.circuits.definitions.registry import HEADS
from pipeline.circuits.scores.challenges import RIVALS
from pipeline.models.injected import BUGS, Bug
from pipeline.models.tiny import NAMES
from pipeline.plumbing.artefacts import Paths, read, read_file
from pipeline.plumbing.planner import plan_of
from pipeline.plumbing.request import Request
from pipeline.settings.figures import OF_KNOWN_ANSWERS
from pipeline.settings.known_answers import KnownAnswersSettings
from pipeline.tables.known_answers import DEFINITION_CURVES, DEFINITION_POWER, INJECTED_BUGS, KNOWN_ANSWERS

MODELS = ("induction_disguised", "random_init")
TABLES = ("known_answers", "injected_bugs", "definition_power", "definition_curves")
DRAWN = OF_KNOWN_ANSWERS
WRITES = (
    *(f"{name}.parquet" for name in TABLES),
    *(f"{name}.{kind}" for name in DRAWN for kind in ("svg", "png")),
)
FEW = {"wired": 7, "disguised": 2, "weak": 2, "resting": 2, "noisy": 2, "trained": 2, "look_alike": 9}


@pytest.fixture(scope="module")
def settings():
    request = Request.of_study("known_answers")
    chosen = tuple(experiment for experiment in request.experiments if experiment.name in MODELS)
    plan = plan_of(replace(request, experiments=chosen))
    given = json.loads(plan.study_jobs["known_answers"].spec)["settings"]
    given["power"] |= {"models": FEW, "never_trained": 2, "sentences": 4, "sizes": [1, 2], "draws": 2}
    given["power"]["optimisation"] |= {"steps": 5, "warmup_steps": 1}
    return KnownAnswersSettings.parse(given)


def _elsewhere(entry):
    """Whether it is of sequences made to mislead, where two targets compete, or of models with feed-forward parts."""
    if entry in BEHIND:
        return True
    return entry.definition.removesuffix("_no_begin") in {name for names in RIVALS.values() for name in names}


def outputs(folder):
    return Paths([folder / name for name in WRITES], '{"spec": 1}')


@pytest.fixture(scope="module")
def done(settings, tmp_path_factory):
    """Every bug in one of its models, one after another of them; the study itself puts each into all."""
    folder = tmp_path_factory.mktemp("known_answers")
    spread = [replace(bug, models=(bug.models[place % len(bug.models)],)) for place, bug in enumerate(BUGS)]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(known_answers, "BUGS", spread)
        known_answers.run(settings, Paths([]), outputs(folder))
    return folder


def test_every_known_score_is_measured(done):
    answers = read(KNOWN_ANSWERS, outputs(done))
    assert answers["passed"].all()
    wired = answers[answers["model"] == "induction_disguised"]
    assert (wired["expected"].notna() ^ wired["reason"].notna()).all()
    unlisted = wired[wired["reason"] == known_answers.UNLISTED]
    assert unlisted[["metric", "definition"]].drop_duplicates().to_numpy().tolist() == []
    # Wired tokens are no words, none is nearer than another, and no feed-forward part reads them.
    unknown = wired["metric"].isin(["relation", "fuzzy_induction"])
    unknown |= wired["definition"].isin([entry.definition for entry in BEHIND])
    assert wired.loc[~unknown, "expected"].notna().mean() > 0.9
    known = wired.dropna(subset=["expected"])
    assert (known["absolute_error"] <= 1e-6 * known["expected"].abs().clip(lower=1)).all()
    composition = {f"{through}_composition" for through in "QKV"}
    assert set(known["metric"]) >= {"induction", "copying", *composition, "virtual", "loss", "ablation", "edge"}
    assert all((done / name).stat().st_size > 0 for name in WRITES)


def test_every_bug_is_caught_by_its_gate_and_no_gate_stops_a_clean_model(done):
    bugs = read(INJECTED_BUGS, outputs(done))
    clean = bugs[bugs["bug"] == "none"]
    assert set(clean["model"]) == set(NAMES)
    assert clean[["expected_gate", "caught_by"]].isna().all(axis=None)
    assert (clean["max_abs_error"] <= clean["tolerance"]).all()
    caught = bugs[bugs["bug"] != "none"]
    assert set(caught["bug"]) == {bug.name for bug in BUGS}
    assert (caught["caught_by"] == caught["expected_gate"]).all()
    assert not (caught["max_abs_error"] <= caught["tolerance"]).any()
    assert bugs["passed"].all()


def test_every_definition_is_judged_on_heads_that_are_known(done):
    powers = read(DEFINITION_POWER, outputs(done))
    assert set(powers["kind"]) == {"all", *FEW}
    names = set(zip(powers["metric"], powers["definition"], strict=True))
    assert names == {entry.name for entry in HEADS if entry.metric in PROTOCOLS and not _elsewhere(entry)}
    of_all = powers[powers["kind"] == "all"].set_index(["metric", "definition", "measured_on"])
    assert of_all.loc["induction", "stripe", "one_period"][["threshold", "threshold_from"]].tolist() == [
        0.4,
        "published",
    ]
    assert of_all.loc["induction", "mass", "one_period"][["threshold", "threshold_from"]].tolist() == [0.6, "project"]
    assert of_all.loc["copying", "top1", "weights"]["threshold_from"] == "chance"
    curves = read(DEFINITION_CURVES, outputs(done)).set_index(["metric", "definition", "measured_on"])
    areas = curves.groupby(level=[0, 1, 2])[["power", "false_positives"]].apply(
        lambda points: np.trapezoid(points["power"], points["false_positives"])
    )
    assert (areas - of_all["auc"]).abs().max() < 0.12  # of few heads steps are high, and ties a slope between points
    wired = powers[powers["kind"] == "wired"]
    assert (wired["auc"] == 1).all()  # heads wired to nothing else are told apart by every definition


@pytest.mark.slow
def test_every_bug_is_caught_in_every_model_it_is_of(settings, tmp_path):
    bugs = known_answers.bugs_caught(settings, tmp_path, outputs(tmp_path))
    assert len(bugs) == len(NAMES) + sum(len(bug.models) for bug in BUGS)


@pytest.mark.parametrize(
    ("bug", "message"),
    [
        (
            Bug("nothing", "terms", ("attention_only",)),
            r"0 of 1 injected bugs caught; clean models: 1 of 1 pass: nothing in attention_only must be caught by "
            r"terms, was by none \(error of",
        ),
        (
            Bug("eps", "logits", ("attention_only",), weights=lambda weights: replace(weights, W_Q=2 * weights.W_Q)),
            r"eps in attention_only must be caught by logits, was by terms \(error of terms scores",
        ),
    ],
)
def test_a_bug_that_its_gate_does_not_see_stops_the_run_and_leaves_the_table(
    bug, message, settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(known_answers, "BUGS", (bug,))
    monkeypatch.setattr(known_answers, "NAMES", ("attention_only",))
    with pytest.raises(ValueError, match=message):
        known_answers.bugs_caught(settings, tmp_path / "bugs", outputs(tmp_path))
    assert not (tmp_path / "injected_bugs.parquet").exists()
    left = read_file(replace(INJECTED_BUGS, name="failed_injected_bugs"), tmp_path / "failed_injected_bugs.parquet")
    assert left.set_index("bug")["passed"].to_dict() == {"none": True, bug.name: False}


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
