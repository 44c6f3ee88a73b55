import select
import subprocess
import sys

import pytest

from pipeline.plumbing import making
from pipeline.plumbing.errors import ConfigError

HOLD = (
    "import json, sys; from pipeline.plumbing.making import hold; hold(*json.loads(sys.argv[1])); "
    "print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def another(tmp_path, monkeypatch):
    """Start another process that makes the file `made` from `read`; return it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    making.LOCKS.parent.mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, '[["made"], ["made", "read"]]'], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("made", "read", "file"),
    [
        pytest.param(["other", "made"], [], "made", id="it makes the same"),
        pytest.param(["other"], ["made"], "made", id="it reads what the other makes"),
        pytest.param(["read"], [], "read", id="it makes what the other reads"),
    ],
)
def test_what_disturbs_another_is_refused_in_a_line_that_names_it(another, made, read, file):
    with pytest.raises(ConfigError) as error:
        making.hold(made, read)
    expected = f"another snakemake, process {another.pid}, makes or reads {file}; run this again when that has ended"
    assert str(error.value) == expected


def test_two_may_read_the_same_and_make_different_files(another):
    making.hold(["other"], ["read"])


def test_a_kill_leaves_no_lock(another):
    another.kill()
    another.wait()
    making.hold(["made"], ["read"])


def test_a_process_makes_what_it_reads(another):
    making.hold(["one", "two"], ["one", "two"])


ALONE = (
    "import sys; from pipeline.plumbing.making import hold_alone; hold_alone(sys.argv[1]); "
    "print('held', flush=True); sys.stdin.read()"
)


def test_two_jobs_of_one_file_wait_for_each_other_and_others_do_not(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))

    def holder(file):
        command = [sys.executable, "-c", ALONE, file]
        return subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    first = holder("one")
    assert first.stdout.readline() == b"held\n"
    second, other = holder("one"), holder("other")
    assert other.stdout.readline() == b"held\n"
    assert select.select([second.stdout], [], [], 1) == ([], [], [])
    first.kill()
    assert second.stdout.readline() == b"held\n"
    for process in (first, second, other):
        process.communicate()
