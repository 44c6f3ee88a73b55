"""The command line that all stages share, called in this process."""

import ast
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.plumbing import graph, intact
from pipeline.plumbing.planner import plan
from pipeline.plumbing.stage import main
from pipeline.settings.extract import ExtractSettings
from pipeline.settings.summarise import SummariseSettings


def called(monkeypatch, arguments, run):
    monkeypatch.setattr(sys, "argv", ["pipeline/extract.py", *arguments])
    main(ExtractSettings, run)


def test_a_job_gets_what_the_workflow_passes(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    Path("a/x.json").write_text("x")
    seen = []
    spec = json.dumps({"settings": {"threads": 2}})
    arguments = ["--spec", spec, "--inputs", "a/x.json", "--outputs", "b/y.parquet"]
    called(monkeypatch, arguments, lambda *given: seen.extend(given))
    settings, inputs, outputs = seen
    assert settings == ExtractSettings(threads=2)
    assert inputs.file("x.json") == Path("a/x.json")
    assert outputs.file("y.parquet") == Path("b/y.parquet")
    assert outputs.provenance == spec
    assert outputs.made_from == intact.made_from(inputs.files) != "{}"


def test_a_stage_of_a_study_finds_in_the_plan_what_no_command_could_hold(monkeypatch, tmp_path):
    asked = {"study": "smoke", "name": "many", "overrides": "train.steps=61", "seeds": ",".join(map(str, range(60)))}
    planned = plan(asked)
    job = planned.study_jobs["summarise"]
    reads = planned.reads(job)
    assert len(" ".join(reads)) + len(job.spec) > 128 * 1024  # MAX_ARG_STRLEN of Linux
    file = tmp_path / "plan.json"
    file.write_text(planned.to_json())
    monkeypatch.setattr(intact, "made_from", lambda files: "{}")
    seen = []
    monkeypatch.setattr(sys, "argv", ["pipeline/summarise.py", "--plan", str(file), f"moved/{reads[0]}"])
    main(SummariseSettings, lambda *given: seen.extend(given))
    settings, inputs, outputs = seen
    assert len(settings.runs) == 120
    assert [str(path) for path in inputs.files] == [f"moved/{path}" for path in reads]
    assert outputs.provenance == job.spec


def test_a_persons_mistake_is_one_line(monkeypatch, capsys):
    def refuse(*_):
        raise ValueError("no such model")

    with pytest.raises(SystemExit, match="1"):
        called(monkeypatch, ["--spec", json.dumps({"settings": {"threads": 1}})], refuse)
    assert capsys.readouterr().err == "extract: no such model\n"
    monkeypatch.setenv("PIPELINE_TRACEBACK", "1")
    with pytest.raises(ValueError, match="no such model"):
        called(monkeypatch, ["--spec", json.dumps({"settings": {"threads": 1}})], refuse)


FULL = """
import errno, sys
from pipeline.plumbing import stage
from pipeline.settings.extract import ExtractSettings
def run(*_):
    raise OSError(errno.ENOSPC, "No space left on device")
sys.argv[0] = "extract.py"
stage.main(ExtractSettings, run)
"""


def test_where_the_log_has_no_room_either_the_line_goes_past_it(tmp_path):
    arguments = ["--callers", str(os.getpid()), "--spec", '{"settings": {"threads": 1}}', "--outputs", "out/file"]
    command = shlex.join([sys.executable, "-c", FULL, *arguments])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    shell = ["bash", "-c", f"{command} 3>&2 > /dev/full 2>&1"]
    ended = subprocess.run(shell, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert ended.stderr.startswith("extract: out/file: No space left on device: the disk at ")
    assert ended.stderr.count("\n") == 1


def test_help_says_what_the_stage_reads_and_writes(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        called(monkeypatch, ["--help"], None)
    said = " ".join(capsys.readouterr().out.split())
    assert graph.told("extract") == ("Reads config.json, model.safetensors (of train). Writes weights.parquet.")
    assert graph.told("extract") in said


@pytest.mark.parametrize("stage", graph.STAGES)
def test_what_a_stage_reads_and_writes_is_said_in_its_settings_module_alone(stage):
    text = ast.get_docstring(ast.parse((Path(pipeline.__file__).parent / f"{stage}.py").read_text()))
    assert text
    assert not [line for line in text.splitlines() if line.startswith(("Reads ", "Writes "))]
