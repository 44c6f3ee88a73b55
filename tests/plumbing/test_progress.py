import os

import pytest
from tqdm import tqdm

from pipeline.plumbing.progress import line, tell_past_the_log


@pytest.fixture
def told(monkeypatch):
    """A pipe in the place of the workflow's own words, and what was written into it."""
    monkeypatch.setattr(tqdm, "display", tqdm.display)
    reads, writes = os.pipe()
    os.set_blocking(reads, False)

    def lines():
        try:
            return os.read(reads, 10_000).decode().splitlines()
        except BlockingIOError:
            return []

    yield writes, lines
    os.close(reads)


def test_a_bar_says_how_far_it_has_come(told):
    file, lines = told
    tell_past_the_log("score a1b2", file, every=0)
    for _ in tqdm(range(4), desc="sequences", mininterval=0):
        pass
    said = lines()
    assert said[0].startswith("score a1b2: 0% of sequences")
    assert said[-1].startswith("score a1b2: 100% of sequences")
    assert any(" left" in each for each in said)


def test_a_job_that_ends_soon_says_nothing_nor_does_one_without_a_total(told):
    file, lines = told
    tell_past_the_log("score a1b2", file, every=30)
    list(tqdm(range(4), mininterval=0))
    tell_past_the_log("score a1b2", file, every=0)
    list(tqdm(iter(range(4)), mininterval=0))
    assert lines() == []


def test_nothing_is_said_where_nobody_listens(told):
    file, _ = told
    os.close(file)
    display = tqdm.display
    tell_past_the_log("score a1b2", file)
    assert tqdm.display is display


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"n": 25, "rate": 5.0}, "25% of heads, 5.00 it/s, 00:15 left"),
        ({"n": 60, "initial": 50, "elapsed": 2.0}, "60% of heads, 5.00 it/s, 00:08 left"),  # it was 50 when it went on
        ({"n": 0}, "0% of heads"),
        ({"n": 50, "rate": 2e4, "unit": "token", "prefix": ""}, "50% of token, 20.0k token/s, 00:00 left"),
    ],
)
def test_words_of_a_bar(state, words):
    bar = {"total": 100, "initial": 0, "rate": None, "elapsed": 0.0, "unit": "it", "prefix": "heads"}
    assert line(bar | state) == words
