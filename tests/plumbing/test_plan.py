"""A plan of two runs written by hand."""

import json

import pytest

from pipeline.plumbing.plan import Job, Plan, Run, dumps, spec_with


def job(stage, identity, made_from=(), files=()):
    return Job(stage, identity, dumps({"settings": {"part": None}, "code": "c"}), dict(made_from), tuple(files), 1)


@pytest.fixture
def plan():
    """Two seeds that share a corpus."""
    runs = [
        Run("base", 0, {"prepare": "p", "train": "t0", "extract": "e0", "verify": "v0"}),
        Run("base", 1, {"prepare": "p", "train": "t1", "extract": "e1", "verify": "v1"}),
    ]
    jobs = [
        job("prepare", "p", files=["my/text.txt"]),
        *(job("train", f"t{seed}", {"prepare": "p"}) for seed in (0, 1)),
        *(
            job("challenge", f"c{seed}", {"prepare": "p", "extract": f"e{seed}", "verify": f"v{seed}"})
            for seed in (0, 1)
        ),
    ]
    study_jobs = {stage: job(stage, "") for stage in ("align", "judge")}
    return Plan("mine", runs, {(each.stage, each.id): each for each in jobs}, study_jobs)


def test_a_job_of_a_run_reads_a_persons_files_and_what_it_is_made_from(plan):
    assert plan.reads(plan.jobs["prepare", "p"]) == ["my/text.txt"]
    assert set(plan.reads(plan.jobs["challenge", "c1"])) == {
        "results/store/prepare/p/tokens.parquet",
        "results/store/prepare/p/vocabulary.parquet",
        "results/store/extract/e1/weights.parquet",
        "results/store/verify/v1/checks.parquet",
    }


def test_a_job_of_the_study_reads_of_every_run_or_what_the_study_has(plan):
    assert plan.reads(plan.study_jobs["align"]) == [
        *(f"results/store/extract/e{seed}/weights.parquet" for seed in (0, 1)),
        *(f"results/store/verify/v{seed}/checks.parquet" for seed in (0, 1)),
    ]
    of_judge = plan.reads(plan.study_jobs["judge"])
    assert {"results/studies/mine/head_scores.parquet", "results/studies/mine/runs.parquet"} <= set(of_judge)
    assert all(path.startswith("results/studies/mine/") for path in of_judge)


def test_what_a_stage_writes_is_a_pattern_over_jobs_or_in_the_studys_folder(plan):
    assert plan.writes("extract") == ["results/store/extract/{id}/weights.parquet"]
    assert plan.writes("extract", "e1") == ["results/store/extract/e1/weights.parquet"]
    assert plan.writes("align") == ["results/studies/mine/alignment.parquet"]


def test_what_runs_share_is_one_job(plan):
    assert plan.ids("prepare") == ["p"]
    assert plan.ids("train") == ["t0", "t1"]
    assert plan.experiments == ["base"]


def test_a_plan_survives_being_a_file(plan):
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_json(plan.to_json()).to_json() == plan.to_json()


def test_a_part_of_a_job_differs_from_it_in_what_is_set_only(plan):
    whole = plan.jobs["prepare", "p"].spec
    part = spec_with(whole, part=1)
    assert json.loads(part) == {"settings": {"part": 1}, "code": "c"}
    assert spec_with(part, part=None) == whole
