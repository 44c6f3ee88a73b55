"""The workflow as a whole, in a copy of the repository: minutes, so run with -m slow."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.plumbing import graph
from pipeline.plumbing.audit import audit
from pipeline.plumbing.unused import unused

ROOT = Path(__file__).resolve().parents[1]
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
EVERY_STAGE = [stage for stage, declared in graph.STAGES.items() if declared.of != "apart"]
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
def smoke(tmp_path_factory):
    """A copy of the repository in which the smoke study has been made."""
    copy = copied(tmp_path_factory.mktemp("smoke"))
    finished = snakemake(copy, "--config", "study=smoke")
    assert finished.returncode == 0, finished.stderr
    return copy


def copied(folder):
    for name in ("conf", "pipeline", "profiles", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "environment.yml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def snakemake(folder, *arguments):
    return subprocess.run([SNAKEMAKE, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def would_run(folder):
    """Rules and numbers of jobs that another call would run."""
    output = snakemake(folder, "-n", "--config", "study=smoke").stdout
    return {
        rule: int(jobs) for rule, jobs in re.findall(r"^(\w+) +(\d+)$", output, re.M) if rule not in ("total", "all")
    }


def tables(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in (folder / "results").rglob("*.parquet")}


def test_every_table_and_figure_is_there(smoke):
    study = smoke / "results/studies/smoke"
    assert len(list(study.glob("*.parquet"))) >= 15
    for experiment in ("base", "one_layer"):
        names = {path.name for path in (study / "figures" / experiment).iterdir()}
        assert {f"{name}.{kind}" for name in ("four_terms", "training_curve") for kind in ("svg", "png")} <= names


def test_a_study_that_was_just_made_is_whole_and_all_of_it_in_use(smoke):
    assert list(audit(smoke)) == []
    assert unused(smoke) == []


def test_a_second_call_does_nothing(smoke):
    assert "Nothing to be done" in snakemake(smoke, "--config", "study=smoke").stderr
    for path in (smoke / "pipeline").rglob("*.py"):
        path.touch()
    assert would_run(smoke) == {}


@pytest.mark.parametrize(
    ("file", "old", "new", "jobs"),
    [
        ("conf/render/default.yaml", "dpi: 110", "dpi: 90", {"render": 2, "render_study": 1}),
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


def test_the_same_study_gives_the_same_bytes_even_if_every_stage_was_killed_once(smoke, tmp_path):
    folder = copied(tmp_path)
    alive = set(EVERY_STAGE)
    for _ in range(len(EVERY_STAGE) + 1):
        running = subprocess.Popen(
            [SNAKEMAKE, "--config", "study=smoke"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while running.poll() is None:
            for stage in sorted(alive):
                for process in processes(folder, stage)[:1]:
                    time.sleep(0.8)  # into its work, where it has some; the shortest stages are done in two seconds
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                        alive.discard(stage)
            time.sleep(0.1)
        if running.returncode == 0:
            break
    assert running.returncode == 0
    assert not alive, f"never caught: {alive}"
    assert tables(folder) == tables(smoke)


def processes(folder, stage):
    """Process ids of the stage's Python at work in this folder."""
    at_work = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            if words[1:4] == [b"-P", b"-m", f"pipeline.{stage}".encode()] and (path / "cwd").resolve() == folder:
                at_work.append(int(path.name))
        except OSError:
            continue  # it ended meanwhile
    return at_work


def test_a_report_shows_figures_and_claims(smoke, tmp_path):
    file = tmp_path / "report.html"
    made = snakemake(smoke, "--report", str(file), "--config", "study=smoke")
    assert made.returncode == 0, made.stderr
    text = file.read_text()
    for shown in ("claims.svg", "effects.svg", "four_terms.svg", "one_layer", "All experiments", "Which claims hold"):
        assert shown in text, shown
