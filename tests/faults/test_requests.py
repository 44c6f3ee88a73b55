"""Requests that cannot be meant: each is answered in one line, in time, and none starts a job."""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faults.requests import CONFIGS, OVERRIDES, made_wrong
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipeline.plumbing import request
from pipeline.plumbing.compose import compose
from pipeline.plumbing.errors import ConfigError
from pipeline.plumbing.planner import plan

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5  # that an answer may take


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return made_wrong(tmp_path_factory.mktemp("files"))


@pytest.fixture(autouse=True)
def _empty_results(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(request, "RESULTS", tmp_path_factory.getbasetemp() / "no results")


def answered(config):
    """Return what a request is answered; None if it is carried out. In time, and as one line."""

    def late(signal_number, frame):
        raise TimeoutError(f"no answer in {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    line = None
    try:
        plan(config)
    except ConfigError as error:
        line = str(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert line is None or ("\n" not in line and 10 < len(line) < 600)
    return line


def refused(config, told):
    line = answered(config)
    assert line is not None, "carried out"
    assert [part for part in told if part not in line] == [], line


@pytest.mark.parametrize(("overrides", "told"), OVERRIDES, ids=[overrides[:60] for overrides, _ in OVERRIDES])
def test_settings_that_cannot_be_meant_are_one_line(overrides, told, files):
    refused({"name": "mine", "seeds": "0", "overrides": overrides.replace("{files}", str(files))}, told)


@pytest.mark.parametrize(("config", "told"), CONFIGS, ids=[ascii(config)[:60] for config, _ in CONFIGS])
def test_keys_that_cannot_be_meant_are_one_line(config, told):
    refused(config, told)


@pytest.mark.parametrize(
    "overrides",
    [
        "model.n_heads=2,4",
        "model.n_heads=range(1,3)",
        "model.n_layers=3 score.layer_pairs=[[0,1],[1,2]]",
        "train.steps=20000 train.batch=64",
        "train.steps=1000000000 limits.days=1e6",
        "experiment=one_layer model.d_model=512",
        "train.copies={fraction:0.5}",
        "model.n_ctx=130 probe.max_length=60",
        "probe.demo='We\\ dog'",
        "data=text_files data.paths=[{files}/good.txt]",
        "data=text_files data.paths=[{files}/g*.txt]",
    ],
)
def test_what_can_be_meant_is_carried_out(overrides, files):
    assert answered({"name": "mine", "seeds": "0", "overrides": overrides.replace("{files}", str(files))}) is None


def leaves(values, prefix=""):
    for key, value in values.items():
        yield from leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]


NUMBERS = st.one_of(st.integers(), st.integers(-(10**40), 10**40), st.floats()).map(str)
WORDS = st.one_of(
    NUMBERS, st.booleans().map(str), st.just("null"), st.text(max_size=20), st.sampled_from(["{", "${x}"])
)
VALUES = st.one_of(
    WORDS,
    st.lists(WORDS, max_size=4).map(lambda words: f"[{','.join(words)}]"),
    st.lists(WORDS, min_size=2, max_size=4).map(",".join),
    st.tuples(st.sampled_from(["range", "choice", "interval", "glob", "sort", "shuffle", "int", "x"]), WORDS).map(
        lambda call: f"{call[0]}({call[1]})"
    ),
)
KEYS = st.one_of(st.sampled_from(sorted(leaves(compose((), (), "base", 0)))), st.text(max_size=10))
SETTINGS = st.lists(st.tuples(KEYS, VALUES).map("=".join), max_size=3)
AT_RANDOM = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@settings(AT_RANDOM, max_examples=40)
@given(SETTINGS)
@example(["train.steps=" + "9" * 3900])
@example(["a" * 10**6])
def test_settings_at_random_are_carried_out_or_answered_in_one_line(overrides):
    answered({"name": "mine", "seeds": "0", "overrides": shlex.join(overrides)})


SAID = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.lists(st.text()))


@settings(AT_RANDOM, max_examples=100)
@given(st.dictionaries(st.one_of(st.sampled_from(sorted(request.KEYS)), st.text()), SAID, min_size=1, max_size=4))
def test_keys_at_random_are_carried_out_or_answered_in_one_line(config):
    answered(config)


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (["name=mine", "overrides=train.steps=1000000000000"], "train.steps=1000000000000: turns"),
        (["name=007", "overrides=model.n_heads=4"], "name=7: read as int"),
        (["study=smoke", "study=paper"], "study=paper: study is there twice, before as study=smoke"),
        (["study=smoke", "--config", "study=paper"], "--config: is there twice"),
    ],
)
def test_snakemake_fails_with_that_line_and_starts_nothing(entries, told, tmp_path):
    command = [sys.executable, "-m", "snakemake", "-s", ROOT / "Snakefile", "--cores", "1", "--config", *entries]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("Using workflow specific profile")]
    assert line.startswith(f"config error: {told}") or line.startswith(f"config error: --config {told}")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert not list(tmp_path.glob("results/store/[!f]*"))
