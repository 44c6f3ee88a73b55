"""One command line for every stage: a recorded job, as the workflow calls it, or a trial by hand."""

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pipeline.plumbing import disk, intact
from pipeline.plumbing.artefacts import Paths
from pipeline.plumbing.lifeline import end_with
from pipeline.plumbing.making import hold_alone
from pipeline.plumbing.memory import keep_freed
from pipeline.plumbing.progress import tell_past_the_log
from pipeline.settings.base import Slice

S = TypeVar("S", bound=Slice)


def main(settings_type: type[S], run: Callable[[S, Paths, Paths], None]) -> None:
    """Parse the command line, run the stage once, and turn a person's mistake into one line."""
    stage = Path(sys.argv[0]).stem
    parser = _parser(stage)
    if {"-h", "--help"} & set(sys.argv):
        parser.epilog = importlib.import_module("pipeline.plumbing.graph").told(stage)
    arguments = parser.parse_args()
    if arguments.callers:
        end_with(*arguments.callers)
        tell_past_the_log(f"{stage} {Path(arguments.outputs[0]).parent.name}")
    keep_freed()
    try:
        if arguments.callers:
            hold_alone(arguments.outputs[0])
        if arguments.plan:
            arguments.spec, arguments.inputs = _planned(stage, *arguments.plan)
        if arguments.spec:
            settings = settings_type.parse(json.loads(arguments.spec)["settings"])
            inputs = Paths(arguments.inputs)
            outputs = Paths(arguments.outputs, arguments.spec, intact.made_from(inputs.files))
        else:
            # Called by name, as above: the planner decides what a stage is given, never what it computes, so
            # its code must not count as the stage's own.
            planner = importlib.import_module("pipeline.plumbing.by_hand")
            spec, inputs, outputs = planner.trial(stage, arguments)
            settings = settings_type.parse(json.loads(spec)["settings"])
        run(settings, inputs, outputs)
    except (ValueError, OSError) as error:
        place = Path(next(iter(arguments.outputs), "results/scratch"))
        line = str(error) if isinstance(error, ValueError) else disk.told(error, place)
        if line is None or os.environ.get("PIPELINE_TRACEBACK"):
            raise
        _end(f"{stage}: {line}", workflow=bool(arguments.callers))
    if not arguments.spec:
        print(f"{stage}: wrote " + ", ".join(str(file) for file in outputs.files))


def _planned(stage: str, plan: str, first: str) -> tuple[str, list[str]]:
    """Return what a plan's file says that a stage of the study is given; all inputs lie as the first one does."""
    # Called by name, as the planner is.
    planned = importlib.import_module("pipeline.plumbing.plan").Plan.from_json(Path(plan).read_text(encoding="utf-8"))
    job = planned.study_jobs[stage]
    reads = planned.reads(job)
    return job.spec, [first.removesuffix(reads[0]) + path for path in reads]


def _end(line: str, workflow: bool) -> None:
    """Exit with this line; where the disk of the log is full, it goes past it to the workflow's own words, file 3."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        if workflow:
            os.write(3, f"{line}\n".encode())
    sys.exit(1)


def _parser(stage: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m pipeline.{stage}",
        description=f"Run the {stage} stage once. By hand: name an experiment and a seed, and Hydra overrides; what "
        "it reads must have been made by snakemake, and what it writes goes to results/scratch/.",
    )
    parser.add_argument("overrides", nargs="*", help=f"Hydra overrides, such as {stage}.threads=2")
    parser.add_argument("--study", default="paper", help="study of the experiment (default: paper)")
    parser.add_argument("--experiment", default="base", help="experiment to start from (default: base)")
    parser.add_argument("--seed", type=int, help="seed of the run (default: the experiment's first)")
    parser.add_argument("--spec", help="JSON that the workflow passes: settings, code fingerprint, versions")
    parser.add_argument("--plan", nargs=2, help="a plan's file that says both instead, and where the first input is")
    parser.add_argument("--callers", nargs="*", type=int, default=[], help="processes to end with, by id")
    parser.add_argument("--inputs", nargs="*", default=[], help="files to read, as the workflow passes them")
    parser.add_argument("--outputs", nargs="*", default=[], help="files to write, as the workflow passes them")
    return parser
