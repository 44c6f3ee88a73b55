import mmap
import time

import pytest

from pipeline.plumbing.cost import cost_of

MEGABYTE = 2**20


def spend(seconds, megabytes=0):
    held = b"x" * (megabytes * MEGABYTE)
    start = time.process_time()
    while time.process_time() < start + seconds:
        pass
    return held


def test_time_is_the_works_alone():
    spend(0.3)
    assert cost_of(lambda: spend(0.3), 0.01)[0] == pytest.approx(0.3, abs=0.1)
    assert cost_of(lambda: time.sleep(0.3), 0.01)[0] < 0.1


def test_memory_is_what_it_held_at_most():
    assert cost_of(lambda: spend(0.1, 100), 0.01)[1] == pytest.approx(100 * MEGABYTE, rel=0.1)
    assert cost_of(lambda: spend(0.1), 0.01)[1] < 10 * MEGABYTE


def test_a_file_that_it_maps_is_not_its_own(tmp_path):
    (tmp_path / "large").write_bytes(b"x" * (50 * MEGABYTE))

    def look():
        with (tmp_path / "large").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            assert content.find(b"y") == -1
            spend(0.1)

    assert cost_of(look, 0.01)[1] < 10 * MEGABYTE


def test_work_that_fails_is_no_cost():
    with pytest.raises(ValueError, match="to be measured failed"):
        cost_of(lambda: 1 / 0, 0.01)
