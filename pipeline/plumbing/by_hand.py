"""A trial of one stage by hand: the same configuration, recorded inputs, outputs to a scratch folder."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from pipeline.plumbing import graph
from pipeline.plumbing.artefacts import Paths
from pipeline.plumbing.compose import parse_once
from pipeline.plumbing.errors import ConfigError, nearest
from pipeline.plumbing.plan import Job, Plan
from pipeline.plumbing.planner import plan_of
from pipeline.plumbing.request import Request
from pipeline.plumbing.scratch import Scratch

RESULTS = Path("results")


def trial(stage: str, arguments: Namespace) -> tuple[str, Paths, Paths]:
    """Return a stage's spec, the recorded files it reads, and where it will write.

    Raises:
        ValueError: the request is wrong, or what the stage reads has not been made yet.
    """
    try:
        planned, job = _planned(stage, arguments)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    files = [Path(file) for file in planned.reads(job)]
    if stage == "timing":  # what the workflow noted of jobs, where it has
        files = sorted(Path(planned.folder).glob("logs/*.tsv"))
    missing = [file for file in files if not file.exists()]
    if missing:
        raise ValueError(f"{missing[0]} is missing; run snakemake --config study={arguments.study} first")
    return job.spec, Paths(files), Scratch(RESULTS / "scratch" / stage, job.spec)


def _planned(stage: str, arguments: Namespace) -> tuple[Plan, Job]:
    """Return the job that the arguments ask for, and the plan that it is of."""
    request = Request.of_study(arguments.study)
    parse_once(arguments.overrides)
    if stage in graph.OF_A_STUDY:
        planned = plan_of(replace(request, overrides=(*request.overrides, *arguments.overrides)))
        return planned, planned.study_jobs[stage]
    experiments = {experiment.name: experiment for experiment in request.experiments}
    if arguments.experiment not in experiments:
        hint = nearest(arguments.experiment, list(experiments))
        raise ConfigError(f"--experiment {arguments.experiment}: not in study {arguments.study}{hint}")
    chosen = experiments[arguments.experiment]
    seed = chosen.seeds[0] if arguments.seed is None else arguments.seed
    only = replace(chosen, seeds=(seed,), overrides=(*chosen.overrides, *arguments.overrides))
    planned = plan_of(replace(request, experiments=(only,)))
    return planned, planned.jobs[stage, planned.ids(stage)[0]]
