"""Folders of results with jobs of finished, killed and shared studies, and what of them may go."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipeline.plumbing import freeze, unused
from pipeline.plumbing.artefacts import Paths, write
from pipeline.plumbing.plan import Job, Plan, Run, dumps
from pipeline.tables.summarise import RUNS

STORE = "results/store"


def ids(letter):
    return letter * 12


def put(root, place, size=10):
    """A file of a job, or one that something left."""
    file = root / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    return file


def planned(root, study, *jobs, copy="0"):
    """What is kept of a study as it starts, and what it has made so far."""
    plan = Plan(study, [Run("base", 0, {"train": job}) for job in jobs])
    for job in jobs:
        plan.jobs["train", job] = Job("train", job, dumps({"settings": {}}), {}, (), 1)
        put(root, f"{STORE}/train/{job}/training_curve.parquet")
    code = root / STORE / "frozen" / ids(copy)
    code.mkdir(parents=True, exist_ok=True)
    (code / ".lock").touch()
    file = freeze.keep(plan.to_json(), code)
    os.utime(file, (len(list(code.parent.glob("*/plans/*"))),) * 2)  # one after another
    return file


def finished(root, study, *jobs):
    """What a study has when it is made."""
    folder = f"results/studies/{study}"
    rows = [
        {"experiment": "base", "seed": seed, "stage": "train", "id": job, "settings": "{}"}
        for seed, job in enumerate(jobs)
    ]
    write(RUNS, pd.DataFrame(rows), Paths([root / folder / "runs.parquet"], json.dumps({"job": folder})))
    (root / folder / "request.json").write_text(json.dumps({"request": f"study={study}"}))


def places(root, **options):
    return {each.place for each in unused.unused(root, **options)}


@pytest.fixture
def root(tmp_path):
    """A study that is made, and beside it a job that is nobody's."""
    planned(tmp_path, "mine", ids("a"), ids("b"))
    finished(tmp_path, "mine", ids("a"), ids("b"))
    put(tmp_path, f"{STORE}/train/{ids('f')}/model.safetensors", 1000)
    put(tmp_path, "results/README.md")
    return tmp_path


def test_a_job_that_no_study_refers_to_is_unused(root):
    assert unused.unused(root) == [unused.Unused(f"{STORE}/train/{ids('f')}", "job that no study refers to", 1000)]


def test_jobs_of_an_earlier_plan_go_and_those_that_a_later_study_shares_stay(root):
    planned(root, "mine", ids("a"), ids("c"))
    finished(root, "mine", ids("a"), ids("c"))
    assert places(root) == {f"{STORE}/train/{ids(letter)}" for letter in "bf"}
    planned(root, "other", ids("b"))
    finished(root, "other", ids("b"))
    assert places(root) == {f"{STORE}/train/{ids('f')}"}


def test_a_study_whose_plan_is_gone_keeps_what_its_runs_name(root):
    for plan in root.glob(f"{STORE}/frozen/*/plans/*"):
        plan.unlink()
    assert places(root) == {f"{STORE}/train/{ids('f')}", f"{STORE}/frozen/{ids('0')}"}


def test_a_killed_study_keeps_what_it_has_made_until_it_is_forgotten(root, capsys):
    planned(root, "killed", ids("a"), ids("d"), copy="1")
    put(root, f"{STORE}/train/{ids('d')}/.progress/state.safetensors", 90)
    assert places(root) == {f"{STORE}/train/{ids('f')}"}
    assert unused.kept_for(root) == {"killed": 100}  # the other job is another's too
    unused.main([str(root)])
    assert "100 bytes  kept, for study killed was begun and has no results; --forget killed" in capsys.readouterr().out
    given_up = {f"{STORE}/train/{ids('d')}", f"{STORE}/frozen/{ids('1')}"}
    assert places(root, forgotten=("killed",)) == given_up | {f"{STORE}/train/{ids('f')}"}
    for study in ("mine", "nobody"):
        with pytest.raises(ValueError, match=f"{study}: no study that was begun"):
            unused.unused(root, (study,))


def test_of_two_plans_the_one_followed_last_counts(root):
    first = planned(root, "turned", ids("d"))
    planned(root, "turned", ids("e"))
    assert f"{STORE}/train/{ids('d')}" in places(root)
    freeze.keep(first.read_text(), first.parents[1])  # asked for again
    assert places(root) == {f"{STORE}/train/{ids(letter)}" for letter in "ef"}


def test_old_copies_of_the_code_scratch_and_half_written_files_are_unused(root):
    put(root, f"{STORE}/frozen/{ids('9')}/pipeline/a.py")
    put(root, f"{STORE}/frozen/.{ids('8')}.123/pipeline/a.py")
    left = [
        put(root, f"{STORE}/train/{ids('a')}/.model.safetensors.tmp"),
        put(root, "results/studies/mine/.claims.parquet.tmp"),
        put(root, f"{STORE}/frozen/{ids('0')}/plans/{ids('7')}.99.tmp"),
    ]
    put(root, "results/scratch/score/head_scores.parquet")
    put(root, f"{STORE}/train/{ids('f')}/.model.safetensors.tmp")  # goes with its folder
    expected = {f"{STORE}/frozen/{ids('9')}", f"{STORE}/frozen/.{ids('8')}.123", "results/scratch"}
    expected |= {path.relative_to(root).as_posix() for path in left} | {f"{STORE}/train/{ids('f')}"}
    assert places(root) == expected


def test_what_is_not_of_the_workflow_stays(root):
    put(root, f"{STORE}/train/notes.txt")
    put(root, f"{STORE}/mine/notes/x.txt")
    put(root, "results/benchmarks/stages.parquet")
    assert places(root) == {f"{STORE}/train/{ids('f')}"}


def everything(root):
    return set(root.rglob("*"))


def test_all_of_it_is_deleted_and_nothing_else(root, capsys):
    link = root / STORE / "train" / ids("e")
    link.symlink_to(root / STORE / "train" / ids("a"))
    gone = {link, root / STORE / "train" / ids("f"), root / STORE / "train" / ids("f") / "model.safetensors"}
    before = everything(root)
    assert unused.main([str(root)]) == 0
    assert everything(root) == before
    assert capsys.readouterr().out.splitlines()[-1].endswith("in 2 places unused; --delete removes them")
    assert unused.main([str(root), "--delete"]) == 0
    assert before - everything(root) == gone
    assert capsys.readouterr().out.splitlines()[-1].endswith("in 2 places deleted")
    assert places(root) == set()


@pytest.mark.parametrize("name", ["request.json", "runs.parquet"])
@pytest.mark.parametrize("content", [b"", b'{"request"', b"null"])
def test_beside_a_damaged_study_nothing_is_deleted(root, name, content, capsys):
    (root / "results/studies/mine" / name).write_bytes(content)
    before = everything(root)
    assert unused.main([str(root), "--delete"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"gc: {root}/results/studies/mine is damaged, so nobody knows what it refers to")
    assert (told.endswith("; nothing was deleted\n"), told.count("\n"), everything(root)) == (True, 1, before)


def test_a_folder_that_does_not_say_what_it_refers_to_stops_it(root):
    put(root, "results/studies/strange/claims.parquet")
    with pytest.raises(ValueError, match="strange says by no plan and no runs"):
        unused.delete(root)


def test_a_plan_that_cannot_be_read_stops_it(root):
    put(root, f"{STORE}/frozen/{ids('0')}/plans/{ids('7')}.json")
    with pytest.raises(ValueError, match="cannot be read as a plan"):
        unused.delete(root)


HOLD = (
    "import sys, pathlib; from pipeline.plumbing import freeze; freeze.freeze(pathlib.Path(sys.argv[1])); "
    "print('held', flush=True); sys.stdin.read()"
)


def test_while_a_study_runs_nothing_is_deleted(root, capsys):
    put(root, "home/pipeline/a.py")
    before = everything(root)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root / "home")],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(unused.__file__).parents[2]), *sys.path])},
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        assert unused.main([str(root)]) == 0
        assert unused.main([str(root), "--delete"]) == 1
        assert capsys.readouterr().err == "gc: a study is running; wait for its end, then delete; nothing was deleted\n"
        assert before <= everything(root)
    finally:
        holder.communicate()
    assert unused.main([str(root), "--delete"]) == 0


def test_a_study_that_starts_waits_for_the_end_of_deleting(root, monkeypatch):
    monkeypatch.chdir(root)
    with unused.alone(root), pytest.raises(BlockingIOError):
        fcntl.flock(os.open(freeze.STORE, os.O_RDONLY), fcntl.LOCK_SH | fcntl.LOCK_NB)


@pytest.mark.parametrize(("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")])
def test_bytes_are_told_in_a_unit_that_suits_them(size, words):
    assert unused.told(size) == words


def test_a_folder_without_results_is_refused(tmp_path, capsys):
    assert unused.main([str(tmp_path), "--delete"]) == 1
    assert capsys.readouterr().err.startswith(f"gc: {tmp_path}: holds no folder results; name the one that does")
