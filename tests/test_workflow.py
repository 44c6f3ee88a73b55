"""The workflow as a whole, in a copy of the repository: minutes, so run with -m slow."""

import re

import pytest
from tiny_study import copied, snakemake

from pipeline.plumbing import graph
from pipeline.plumbing.audit import audit
from pipeline.plumbing.unused import unused

STUDY = {
    "summarise": 1,
    "judge": 1,
    "manifest": 1,
    "render": 2,
    "render_study": 1,
    "atlas": 1,
}  # the study stages' jobs, but for align's
VERIFIED = [stage for stage, declared in graph.OF_A_RUN.items() if declared.gated]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def first_call(tmp_path_factory):
    """A copy of the repository in which the smoke study has been made, and what the call said."""
    copy = copied(tmp_path_factory.mktemp("smoke"))
    finished = snakemake(copy, "--config", "study=smoke", "--verbose")
    assert finished.returncode == 0, finished.stderr
    return copy, finished.stderr


@pytest.fixture(scope="module")
def smoke(first_call):
    return first_call[0]


def would_run(folder):
    """Rules and numbers of jobs that another call would run."""
    output = snakemake(folder, "-n", "--config", "study=smoke").stdout
    return {
        rule: int(jobs) for rule, jobs in re.findall(r"^(\w+) +(\d+)$", output, re.M) if rule not in ("total", "all")
    }


def test_every_table_and_figure_is_there(smoke):
    study = smoke / "results/studies/smoke"
    assert len(list(study.glob("*.parquet"))) >= 15
    for experiment in ("base", "one_layer"):
        names = {path.name for path in (study / "figures" / experiment).iterdir()}
        assert {f"{name}.{kind}" for name in ("four_terms", "training_curve") for kind in ("svg", "png")} <= names


def test_a_study_that_was_just_made_is_whole_and_all_of_it_in_use(smoke):
    assert list(audit(smoke)) == []
    assert unused(smoke) == []


def test_jobs_are_looked_for_when_one_ends_and_not_all_the_time(first_call):
    _, said = first_call
    assert 0 < said.count("Ready jobs: ") <= 2 * said.count("Finished jobid: ")


def test_a_second_call_does_nothing(smoke):
    assert "Nothing to be done" in snakemake(smoke, "--config", "study=smoke").stderr
    for path in (smoke / "pipeline").rglob("*.py"):
        path.touch()
    assert would_run(smoke) == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "jobs"),
    [
        ("conf/render/default.yaml", "dpi: 220", "dpi: 90", {"render": 2, "render_study": 1}),
        (
            "conf/score/default.yaml",
            "top_tokens: ",
            "top_tokens: 1",
            {"score": 3, "ablate": 3, "cover": 3} | STUDY,
        ),
        ("pipeline/circuits/scores/copying.py", '"""', '"""# Words only: ', {}),
        ("pipeline/figures/style.py", "\n\n\n", "\nSTRANGE = 1\n\n\n", {"render": 2, "render_study": 1}),
        (
            "pipeline/circuits/scores/copying.py",
            "\n\n\n",
            "\nSTRANGE = 1\n\n\n",
            dict.fromkeys(["verify", *VERIFIED], 3) | {"align": 1} | STUDY,
        ),
        ("pipeline/plumbing/request.py", "\n\n\n", "\nSTRANGE = 1\n\n\n", {}),
        ("pipeline/plumbing/artefacts.py", "columns missing", "columns that are missing", {}),
        ("pipeline/plumbing/stage.py", "study of the experiment", "the experiment's study", {}),
        ("pipeline/tables/columns.py", "attention layer, from 0", "layer of attention, from 0", {}),
        ("pipeline/tables/score.py", "one score of one head", "a score of a head", {}),
        ("pipeline/claims/catalogue.py", "There is an induction head", "An induction head is there", {}),
        ("pipeline/settings/train.py", "runtime=240", "runtime=300", {}),
    ],
)
def test_a_change_reruns_what_it_reaches_and_no_more(smoke, file, old, new, jobs):
    path = smoke / file
    before = path.read_text()
    path.write_text(before.replace(old, new, 1))
    assert path.read_text() != before
    try:
        assert would_run(smoke) == jobs
        assert jobs or "Nothing to be done" in snakemake(smoke, "-n", "--config", "study=smoke").stdout
    finally:
        path.write_text(before)


def test_a_report_shows_figures_and_claims(smoke, tmp_path):
    file = tmp_path / "report.html"
    made = snakemake(smoke, "--report", str(file), "--config", "study=smoke")
    assert made.returncode == 0, made.stderr
    text = file.read_text()
    for shown in ("claims.svg", "effects.svg", "four_terms.svg", "one_layer", "All experiments", "Which claims hold"):
        assert shown in text, shown
