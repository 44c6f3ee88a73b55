import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.cli import parse_config

from pipeline.plumbing.command import HOME, called, main
from pipeline.plumbing.errors import ConfigError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def config_of(call):
    """What Snakemake reads of its command line."""
    return parse_config(call[call.index("--config") + 1 :])


def test_settings_become_overrides_and_options_are_handed_on():
    call = called(["name=eight", "seeds=0", "model.n_heads=8", "train.steps=700", "-n", "-c", "4"])
    assert call[:6] == ["snakemake", "--snakefile", str(HOME / "Snakefile"), "-n", "-c", "4"]
    assert config_of(call) == {"name": "eight", "seeds": 0, "overrides": "model.n_heads=8 train.steps=700"}


def test_in_the_project_its_snakefile_is_found(tmp_path):
    Path("Snakefile").touch()
    assert called(["study=smoke"]) == ["snakemake", "--config", "study=smoke"]
    assert called(["-n"]) == ["snakemake", "-n"]


def test_spaces_within_a_value_stay():
    call = called(["name=x", "probe.demo='We dog'"])
    assert config_of(call)["overrides"] == r"probe.demo=\'We\ dog\'"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["walk"], "walk: is no KEY=VALUE; write headscope run KEY=VALUE"),
        (["name"], "name: is no KEY=VALUE"),
        (["model.n_heads=8"], "add name="),
        (["name=x", "model.n_heads=8", "model.n_heads=4"], "model.n_heads is there twice"),
        (["name=x", "overrides=model.n_heads=8", "model.n_heads=4"], "model.n_heads is there twice"),
        (["study=smoke", "study=paper"], "study is there twice, before as study=smoke"),
        (["name=007", "model.n_heads=8"], "name=007: reads as a value"),
        (["name=x", "model.n_heds=8"], "did you mean model.n_heads?"),
    ],
)
def test_what_is_wrong_is_said_before_snakemake_starts(arguments, told):
    with pytest.raises(ConfigError, match=told.replace("?", r"\?")):
        called(arguments)


def test_it_becomes_snakemake(monkeypatch, capsys):
    became, asked = [], ["study=smoke", "-n"]
    monkeypatch.setattr("os.execv", lambda *given: became.append(given))
    main(asked)
    assert became == [(sys.executable, [sys.executable, "-m", *called(asked)])]
    assert capsys.readouterr().err.startswith("snakemake ")


def test_it_fails_with_one_line():
    command = [sys.executable, "-c", "from pipeline.ask.__main__ import main; main()", "run", "model.n_heads=8"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(HOME)})
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("config error: --config overrides=model.n_heads=8: add name=")
    assert ended.stderr.count("\n") == 1
