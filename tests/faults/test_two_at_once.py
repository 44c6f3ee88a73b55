"""Two Snakemakes in one folder, and one that lost what it knew: minutes, so run with -m slow."""

import os
import shutil
import signal
import time

import pytest
from tiny_study import at_work, contents, snakemake, started, with_tiny_studies

UNTIL = ["--cores", "1", "--until", "score"]
pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    """A copy of the code."""
    return with_tiny_studies(tmp_path)


def await_stage(folder, running, name):
    """Wait until a stage is at work."""
    while name not in {stage for *_, stage in at_work(folder)}:
        assert running.poll() is None, (folder / "said").read_text()
        time.sleep(0.05)


def test_a_second_on_the_same_targets_is_refused_in_a_line_and_disturbs_nothing(folder, expected):
    first = started(folder)
    await_stage(folder, first, "train")
    for asked in (["study=tiny"], ["study=other"]):  # other reads the text that the first makes
        second = snakemake(folder, "--config", *asked)
        assert second.returncode == 1
        (line,) = [line for line in second.stderr.splitlines() if "another" in line]
        assert line.startswith(f"another snakemake, process {first.pid}, makes or reads results/")
        assert "Traceback" not in second.stderr
    assert "This was a dry-run" in snakemake(folder, "-n", "--config", "study=tiny").stdout
    assert first.wait() == 0, (folder / "said").read_text()
    assert without_plans(contents(folder)) == without_plans(expected)


def without_plans(files):
    """All but what was planned, for that was more here."""
    return {name: digest for name, digest in files.items() if "/plans/" not in name}


@pytest.fixture
def alone(tmp_path_factory):
    """What is made of the other study where nothing else is made."""
    folder = with_tiny_studies(tmp_path_factory.mktemp("alone"))
    assert snakemake(folder, *UNTIL, "--config", "study=other").returncode == 0
    return contents(folder)


def test_two_on_other_targets_run_at_once_and_one_that_is_killed_goes_on_without_a_word(folder, alone, expected):
    assert snakemake(folder, "--until", "probe", "--config", "study=tiny").returncode == 0
    first = started(folder, *UNTIL)
    await_stage(folder, first, "train")
    second = started(folder, *UNTIL, study="other")
    await_stage(folder, second, "verify")
    assert first.poll() is None
    first.kill()
    first.wait()
    first = started(folder, *UNTIL)
    assert first.wait() == 0, (folder / "said").read_text()
    assert second.wait() == 0
    found = without_plans(contents(folder))
    either = alone | expected
    assert found == {name: either.get(name) for name in found}
    assert len([name for name in found if name.endswith("head_scores.parquet")]) == 2


@pytest.mark.parametrize("stage", ["train", "score", "render"])
def test_a_lost_snakemake_folder_changes_no_byte(folder, expected, stage):
    running = started(folder)
    await_stage(folder, running, stage)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    shutil.rmtree(folder / ".snakemake")
    finished = snakemake(folder, "--config", "study=tiny")
    assert finished.returncode == 0, finished.stderr
    assert contents(folder) == expected
    shutil.rmtree(folder / ".snakemake")
    again = snakemake(folder, "--config", "study=tiny")
    assert "Nothing to be done" in again.stderr
    assert "results/studies/tiny: what Snakemake knew of it, in .snakemake, is gone" in again.stderr
    assert contents(folder) == expected
