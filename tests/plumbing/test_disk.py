"""Disks that are full or shut, by the system's own errors; tests/faults/ has real ones."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors import SafetensorError

from pipeline.plumbing import disk
from pipeline.plumbing.disk import told

FULL = [
    pytest.param(OSError(errno.ENOSPC, "No space left on device"), id="the system's"),
    pytest.param(SafetensorError("I/O error: No space left on device (os error 28)"), id="safetensors'"),
]


@pytest.mark.parametrize("error", FULL)
@pytest.mark.parametrize(
    ("sizes", "needs"),
    [((2_500_000,), "needs 2.500 MB, and "), ((0, 1_500_000), "needs more than 1.500 MB, and "), ((), "")],
)
def test_a_full_disk_is_named_with_what_is_needed_and_what_is_free(monkeypatch, error, sizes, needs):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=250_000))
    line = told(error, Path("/proc/self/not/there"), *sizes)
    assert line == (
        f"/proc/self/not/there: No space left on device: {needs}the disk at /proc has 0.250 MB free; "
        "make room there and run again"
    )


@pytest.fixture
def shut():
    """A folder that nobody but root may write, and everybody may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        yield folder


@pytest.mark.parametrize("ask", ["told(error, path)", "shut(['/tmp/file', str(path)])"])
def test_a_folder_that_may_not_be_written_is_named(shut, ask):
    program = (
        "import os, pathlib; from pipeline.plumbing.disk import shut, told\n"
        "os.getuid() or os.setuid(65534)  # for root may write everywhere\n"
        "path = pathlib.Path('new/file')\n"
        f"try:\n    path.parent.mkdir()\nexcept OSError as error:\n    print({ask})"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=shut, env=environment, capture_output=True, text=True, check=False
    )
    assert said.stdout.startswith(f"new/file: Permission denied: {shut}, on the disk at "), said.stderr
    assert said.stdout.count("\n") == 1


def test_folders_that_may_be_written_are_not_shut(tmp_path):
    assert disk.shut([str(tmp_path / "file"), str(tmp_path / "new/folder/file")]) is None


@pytest.mark.parametrize(
    "error",
    [
        OSError("no such model"),
        FileNotFoundError(errno.ENOENT, "No such file", "other"),
        PermissionError(errno.EACCES, "Permission denied", "another's"),  # this folder may be written
        RuntimeError("unrelated"),
    ],
)
def test_what_is_no_fault_of_the_disk_is_none_of_it(tmp_path, error):
    assert told(error, tmp_path / "file") is None
