"""What a piece of work costs: processor time and memory, in a copy of this process."""

import os
import resource
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

from pipeline.plumbing.lifeline import end_with


def cost_of(work: Callable[[], object], sampled_every: float) -> tuple[float, int]:
    """Do some work in a copy of this process, which has its imports; return what it took beyond these.

    Args:
        work: what to do; the process may have no other threads.
        sampled_every: seconds between two looks at its memory.

    Returns:
        CPU seconds; and bytes, the most memory of its own at any look: files that it maps are not.

    Raises:
        ValueError: the work failed; its words are on standard error.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = get_context("fork").Process(target=_worked, args=(os.getpid(), work))
    process.start()
    looks = [_own_memory(process.pid)]
    while process.is_alive():
        looks.append(_own_memory(process.pid))
        time.sleep(sampled_every)
    if process.exitcode:
        raise ValueError("what was to be measured failed; its words stand above")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, max(looks) - looks[0]


def _worked(caller: int, work: Callable[[], object]) -> None:
    end_with(caller)
    work()


def _own_memory(pid: int | None) -> int:
    """Return the resident bytes of a process that are no file's; none where it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)
