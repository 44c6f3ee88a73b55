"""Disks that fill up or may not be written: minutes, and root, who may mount some; so run with -m slow."""

import re
import shutil
import subprocess
import time

import pytest
from tiny_study import EVERY_STAGE, at_work, contents, snakemake, started, with_tiny_studies

MEGABYTES = 60
pytestmark = pytest.mark.slow


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)  # without root it fails, and so does the test


@pytest.fixture
def disk(tmp_path):
    """A small disk that holds a copy of the code and all that is made of it."""
    mount("-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(tmp_path))
    yield with_tiny_studies(tmp_path)
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(disk):
    """Leave no byte."""
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def lines_of(output, disk):
    """The lines that tell of the disk; all else that a stage or we could say is a traceback."""
    assert "Traceback" not in output, output
    told = rf"^\w+: results/\S+: No space left on device: .*the disk at {disk} has [\d.]+ MB free"
    return re.findall(told, output, re.M)


def test_a_disk_that_fills_up_under_any_stage_is_one_line_and_changes_no_byte(disk, expected):
    left, told = set(EVERY_STAGE), {}
    running = started(disk)
    while left or running.poll() is None:
        assert running.poll() is None, f"ended before these stages: {left}\n" + (disk / "said").read_text()
        now = {stage for *_, stage in at_work(disk)} & left
        if not now:
            time.sleep(0.05)
            continue
        left -= now
        fill(disk)
        assert running.wait(120) != 0
        (disk / "filler").unlink()
        lines = lines_of((disk / "said").read_text(), disk)
        # Where a job beside it ended first, Snakemake finds no room for its own record, and ends all.
        own = re.findall(r"^.*No space left on device.*$", (disk / "said").read_text(), re.M)
        told |= {stage: [line for line in lines if line.startswith(f"{stage}: ")] or own for stage in now}
        found = contents(disk, hidden=False)
        assert {name: expected.get(name) for name in found} == found
        running = started(disk)
    assert running.returncode == 0, (disk / "said").read_text()
    assert contents(disk) == expected
    print(f"\nthe disk filled up under {len(told)} stages, {len(expected)} files identical in the end; lines of each:")
    print({stage: len(lines) for stage, lines in told.items()})
    assert all(told.values()), "a stage did not say why it failed"


@pytest.mark.parametrize("made_before", [False, True])
@pytest.mark.parametrize("where", [".", "results"])
def test_a_folder_that_may_not_be_written_is_one_line(disk, where, made_before):
    (disk / "results").mkdir()
    place = disk if where == "." else disk / "results"
    if where == "results":
        mount("-t", "tmpfs", "tmpfs", str(place))
    if made_before:
        snakemake(disk, "-n", "--config", "study=tiny")
    mount("-o", "remount,ro", str(place))
    refused = snakemake(disk, "--config", "study=tiny")
    assert refused.returncode == 1
    said = [line for line in refused.stderr.splitlines() if not re.match("Using workflow|Failed to setup log", line)]
    assert len(said) == 1, refused.stderr
    assert re.search(rf"results/store/frozen\S*: Read-only file system: \S+, on the disk at {place}, may", said[0])
    mount("-o", "remount,rw", str(place))
    if where == "results":
        subprocess.run(["umount", str(place)], check=True)


def test_a_folder_of_a_job_that_may_not_be_written_is_one_line_before_any_job(disk):
    place = disk / "results/store/train"
    place.mkdir(parents=True)
    mount("-t", "tmpfs", "-o", "ro", "tmpfs", str(place))
    refused = snakemake(disk, "--config", "study=tiny")
    subprocess.run(["umount", str(place)], check=True)
    assert refused.returncode == 1
    told = rf"^results/store/train/\S+: Read-only file system: {place}, on the disk at {place}, may not be written; .*$"
    assert re.search(told, refused.stderr, re.M), refused.stderr
    assert "Traceback" not in refused.stderr
    assert not list((disk / "results/store").glob("prepare/*/*"))


def test_a_disk_too_small_for_the_code_says_how_much_it_needs(disk):
    shutil.rmtree(disk / "results", ignore_errors=True)
    fill(disk)
    refused = snakemake(disk, "--config", "study=tiny")
    assert refused.returncode == 1
    told = rf"^results/store/frozen/\w+: No space left on device: needs \d\.\d+ MB, and the disk at {disk} has 0.000 MB"
    assert re.search(told, refused.stderr, re.M), refused.stderr
    assert "Traceback" not in refused.stderr
