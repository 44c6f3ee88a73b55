"""Kill stages, their shells and Snakemake itself at random moments: minutes, so run with -m slow; -s shows figures.

After each: no process is left, no file is half written, and the next call goes on without a word from a person. In the
end: the bytes of an undisturbed run.
"""

import os
import random
import select
import signal
import time
from collections import Counter
from contextlib import suppress

import pandas as pd
import pytest
from tiny_study import EVERY_STAGE, at_work, contents, started, with_tiny_studies

from pipeline.plumbing import graph

SEED = 0
AT_THE_START = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT] * 2  # before or while the first job runs
CTRL_C = ("all", signal.SIGINT)
KILLS = {
    stage: [
        ("stage", (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[place % 3]),
        ("snakemake", signal.SIGKILL),
        CTRL_C,
        ("shell", signal.SIGKILL) if place % 2 else ("snakemake", signal.SIGTERM),
    ]
    for place, stage in enumerate(EVERY_STAGE)
}
PATIENCE = 120  # seconds within which what was killed must have ended, and what it called
pytestmark = pytest.mark.slow


class Killing:
    """A study under way, what has been killed of it, and what is still to be."""

    def __init__(self, folder, expected, seconds):
        """Take the folder, its files in the end, and how long each stage takes."""
        self.folder, self.expected, self.seconds = folder, expected, seconds
        self.random = random.Random(SEED)
        self.left = {stage: list(kills) for stage, kills in KILLS.items()}
        self.done = Counter()
        self.longest = 0.0  # that a process outlived the kill that was to end it, in seconds

    def start(self):
        """Start Snakemake, which no kill before may hinder."""
        self.running, self.due, self.killed = started(self.folder), {}, 0

    def at_the_start(self, number):
        """Kill Snakemake before it has come far."""
        self.start()
        time.sleep(self.random.uniform(0, 6))
        self.kill(self.running.pid, None, "snakemake", number)
        self.running.wait(PATIENCE)

    def go_on(self):
        """Start Snakemake, and kill as planned until it ends."""
        self.start()
        while self.running.poll() is None:
            for process, parent, stage in list(at_work(self.folder)):
                if stage is not None and self.left[stage]:
                    moment = time.monotonic() + self.random.uniform(0, 0.8 * self.seconds[stage])
                    if time.monotonic() >= self.due.setdefault(process, moment):
                        self.kill(process, parent, *self.left[stage][0], stage=stage)
            time.sleep(0.05)
        return self.running.returncode

    def kill(self, process, parent, victim, number, stage="start"):
        """Send the signal; wait until all that must end by it has; look at every file."""
        everything = [pid for pid, *_ in at_work(self.folder)]
        waited = [process, parent] if victim in ("stage", "shell") else everything
        handles = []
        with suppress(ProcessLookupError):  # it has just ended by itself
            handles = [os.pidfd_open(pid) for pid in waited]
            send = {"stage": (os.kill, process), "shell": (os.kill, parent), "all": (os.killpg, self.running.pid)}
            function, target = send.get(victim, (os.kill, self.running.pid))
            function(target, number)
            self.killed += 1
            self.done[stage, victim, number.name] += 1
            if stage != "start":
                self.left[stage].pop(0)
            self.await_all(handles)
        for handle in handles:
            os.close(handle)
        found = contents(self.folder, hidden=False)
        assert not [name for name in found if name in self.expected and found[name] != self.expected[name]]
        assert not set(found) - set(self.expected), "files that an undisturbed run has not"

    def await_all(self, handles):
        """Wait until these processes have ended."""
        began = time.monotonic()
        for handle in handles:
            self.running.poll()  # or it stays a zombie
            ended = select.poll()
            ended.register(handle, select.POLLIN)
            assert ended.poll(PATIENCE * 1000), "a process outlives what killed its caller"
        self.longest = max(self.longest, time.monotonic() - began)

    def make_again(self):
        """Remove what stages have made that ended before they were killed."""
        for stage in (stage for stage, kills in self.left.items() if kills):
            names = graph.writes_of(stage)
            for name in self.expected:
                of_the_study = name.startswith("results/studies/tiny/") and name.rsplit("/", 1)[-1] in names
                figure = stage == "render" and "/figures/" in name
                if name.startswith(f"results/store/{stage}/") or of_the_study or figure:
                    (self.folder / name).unlink(missing_ok=True)


def seconds_of(folder):
    """How long the job of each stage took; of render's the shorter."""
    times = {}
    for file in (folder / "results").rglob("*.tsv"):
        stage = file.stem.split("_base")[0].split("_study")[0] if file.stem != "benchmark" else file.parts[-3]
        times[stage] = min(times.get(stage, 1e9), pd.read_csv(file, sep="\t")["s"].iloc[0])
    return times


def test_kills_at_random_moments_change_no_byte(undisturbed, expected, tmp_path):
    killing = Killing(with_tiny_studies(tmp_path), expected, seconds_of(undisturbed))
    for number in AT_THE_START:
        killing.at_the_start(number)
    calls = len(AT_THE_START)
    while any(killing.left.values()):
        ended = killing.go_on()
        calls += 1
        assert killing.killed or ended == 0, (tmp_path / "said").read_text()
        if ended == 0:
            killing.make_again()
    assert killing.go_on() == 0, (tmp_path / "said").read_text()
    found = contents(tmp_path)
    assert found == expected
    by_signal, by_stage = Counter(), Counter()
    for (stage, victim, number), times in killing.done.items():
        by_signal[f"{victim} {number}"] += times
        by_stage[stage] += times
    print(f"\n{sum(by_stage.values())} kills in {calls} calls of Snakemake, of which none needed --unlock")
    print(f"by signal: {dict(by_signal)}\nby stage at work: {dict(by_stage)}")
    print(
        f"{len(found)} files identical to an undisturbed run's, 0 others; all that was to end had ended after at most"
    )
    print(f"{killing.longest:.1f} s (jobs that a TERM of Snakemake lets finish included)")
    assert sum(by_stage.values()) >= 50
