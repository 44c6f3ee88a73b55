import os
import select
import signal
import subprocess
import sys
import time

import pytest

IDLE = [sys.executable, "-c", "import time; time.sleep(60)"]
TIED = "import sys, time; from pipeline.plumbing.lifeline import end_with; end_with(*map(int, sys.argv[1:])); "


@pytest.fixture
def started():
    """Start processes of which none outlives the test."""
    processes = []

    def start(*command):
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def tied(started, *callers):
    """A process that ends with its callers and otherwise computes for a minute, without a break."""
    work = "print('at work', flush=True); end = time.time() + 60\nwhile time.time() < end: sum(range(1000))"
    process = started(sys.executable, "-c", TIED + work, *(str(caller.pid) for caller in callers))
    assert process.stdout.readline() == b"at work\n"
    return process


@pytest.mark.parametrize("killed", [0, 1])
def test_it_ends_when_any_caller_does_even_while_it_computes(started, killed):
    callers = [started(*IDLE), started(*IDLE)]
    process = tied(started, *callers)
    callers[killed].kill()  # and nobody waits for it yet
    began = time.time()
    assert process.wait(timeout=20) == 1
    assert time.time() - began < 10
    assert callers[1 - killed].poll() is None


def test_it_goes_on_while_callers_do(started):
    process = tied(started, started(*IDLE))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)


def test_it_ends_before_it_begins_if_a_caller_has_ended(started):
    gone = started("true")
    gone.wait()
    process = started(sys.executable, "-c", TIED + "print('at work')", str(gone.pid))
    assert process.communicate(timeout=20)[0] == b""
    assert process.returncode == 1


POOL = """
import os, time
from multiprocessing import get_context
from pipeline.plumbing.lifeline import end_with
from test_lifeline import at_work
if __name__ == "__main__":
    with get_context("spawn").Pool(2, end_with, [os.getpid()]) as pool:
        pool.map(at_work, range(2))
"""


def at_work(_):
    """Say who is at work, and stay so."""
    print(os.getpid(), flush=True)
    time.sleep(60)


def test_workers_of_a_pool_end_with_it(tmp_path, started, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.path.dirname(__file__), *sys.path]))
    (tmp_path / "pool.py").write_text(POOL)
    parent = started(sys.executable, str(tmp_path / "pool.py"))
    workers = [os.pidfd_open(int(parent.stdout.readline())) for _ in range(2)]
    os.kill(parent.pid, signal.SIGKILL)
    for worker in workers:
        ended = select.poll()
        ended.register(worker, select.POLLIN)
        assert ended.poll(20_000), "a worker outlives its pool"
        os.close(worker)
