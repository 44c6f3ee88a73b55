"""Copies of a tree of a few files."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from pipeline.plumbing import freeze

HOLD = (
    "import sys, pathlib; from pipeline.plumbing import freeze; freeze.freeze(pathlib.Path(sys.argv[1])); "
    "print('held', flush=True); sys.stdin.read()"
)
CODE = {
    "pipeline/a.py",
    "pipeline/deep/b.py",
    "pipeline/deep/b.js",
    "conf/config.yaml",
    "workflow/rules/run.smk",
    "environment.yml",
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A tree like the repository's; copies go below another folder, where the process runs."""
    for place in (
        "pipeline/a.py",
        "pipeline/deep/b.py",
        "pipeline/deep/b.js",
        "conf/config.yaml",
        "workflow/rules/run.smk",
        "environment.yml",
    ):
        file = tmp_path / "home" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(place)
    (tmp_path / "home/pipeline/a.pyc").write_text("compiled")
    (tmp_path / "home/README.md").write_text("words")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def test_a_copy_is_exact_and_nothing_else(home):
    copy = freeze.freeze(home)
    names = {file.relative_to(copy).as_posix() for file in copy.rglob("*") if file.is_file()} - {".lock"}
    assert names == CODE
    assert all((copy / name).read_text() == name for name in names)


def test_the_same_tree_has_one_copy_and_an_edited_one_another(home):
    first = freeze.freeze(home)
    assert freeze.freeze(home) == first
    (home / "README.md").write_text("other words")
    assert freeze.freeze(home) == first
    (home / "conf/config.yaml").write_text("other: value")
    assert freeze.freeze(home) != first
    assert (first / "conf/config.yaml").read_text() == "conf/config.yaml"


def test_an_edited_copy_is_refused(home):
    copy = freeze.freeze(home)
    edited = copy / "pipeline/a.py"
    edited.chmod(0o644)
    edited.write_text("edited")
    with pytest.raises(SystemExit, match="was edited; delete it"):
        freeze.freeze(home)


def test_what_a_killed_process_left_is_no_copy(home, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            freeze.freeze(home)
    assert (freeze.freeze(home) / "pipeline/deep/b.py").exists()


def test_what_a_killed_process_left_goes(home):
    half = freeze.STORE / ".0123456789ab.42"
    half.mkdir(parents=True)
    (half / ".lock").touch()
    (half / "pipeline").mkdir()
    copy = freeze.freeze(home)
    assert [file.name for file in freeze.STORE.iterdir()] == [copy.name]


@pytest.mark.parametrize("write", [freeze.freeze, lambda home: freeze.keep("plan" * 100, home)])
def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(home, monkeypatch, write):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = set(home.rglob("*"))
    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(
        SystemExit, match=r"^\S+: No space left on device: needs 0.000 MB, and the disk at .* run again$"
    ):
        write(home)
    assert set(home.rglob("*")) - before <= {home / "plans"}
    assert not list(freeze.STORE.glob("*"))


def test_old_copies_go_unless_a_process_runs_them(home, monkeypatch):
    monkeypatch.setattr(freeze, "KEPT", 1)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        (held,) = freeze.STORE.iterdir()
        copies = []
        for n in range(3):
            (home / "pipeline/a.py").write_text(f"version {n}")
            copies.append(freeze.freeze(home).name)
            # This process holds them all until it ends; one of the past holds none.
            for file in (freeze.STORE / copies[-1]).glob(".lock"):
                file.unlink()
                file.touch()
            os.utime(freeze.STORE / copies[-1], (n + 1, n + 1))
        freeze._prune(freeze.STORE / copies[-1])
        left = {copy.name for copy in freeze.STORE.iterdir()}
        assert held.name in left
        assert copies[-1] in left
        assert copies[0] not in left
    finally:
        holder.communicate()


def test_a_copy_in_use_is_locked(home):
    copy = freeze.freeze(home)
    with (copy / ".lock").open() as lock, pytest.raises(OSError, match="unavailable"):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_plan_is_kept_beside_the_code_by_its_content(home):
    copy = freeze.freeze(home)
    first, second = freeze.keep("one", copy), freeze.keep("two", copy)
    assert first != second
    assert freeze.keep("one", copy) == first
    assert first.read_text() == "one"
    assert {file.name for file in first.parent.iterdir()} == {first.name, second.name}
    assert freeze.freeze(home) == copy  # plans are no code


def test_jobs_find_the_copy_first(home, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "mine")
    monkeypatch.setenv("PATH", "/usr/bin")
    freeze.put_on_paths(home)
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(home), "mine"]
    assert os.environ["PATH"].split(os.pathsep)[1] == "/usr/bin"
