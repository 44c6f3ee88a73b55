"""A trial of one stage by hand: the same configuration, recorded inputs, outputs to a scratch folder."""

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from pipeline.plumbing.artefacts import Paths
from pipeline.plumbing.errors import ConfigError, nearest
from pipeline.plumbing.plan import STAGES, plan_of
from pipeline.plumbing.request import Request
from pipeline.plumbing.scratch import Scratch

RESULTS = Path("results")


def trial(stage: str, arguments: Namespace) -> tuple[str, Paths, Paths]:
    """Return a stage's spec, the recorded files it reads, and where it will write.

    Raises:
        ValueError: the request is wrong, or what the stage reads has not been made yet.
    """
    try:
        spec, made_from, files = _job(stage, arguments)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    for folder in made_from:
        found = sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith("."))
        if not found:
            raise ValueError(f"{folder} is empty or missing; run snakemake --config study={arguments.study} first")
        files += found
    return spec, Paths(files), Scratch(RESULTS / "scratch" / stage, spec)


def _job(stage: str, arguments: Namespace) -> tuple[str, list[Path], list[Path]]:
    request = Request.of_study(arguments.study)
    if stage in STAGES:
        experiments = {experiment.name: experiment for experiment in request.experiments}
        if arguments.experiment not in experiments:
            hint = nearest(arguments.experiment, list(experiments))
            raise ConfigError(f"--experiment {arguments.experiment}: not in study {arguments.study}{hint}")
        chosen = experiments[arguments.experiment]
        seed = chosen.seeds[0] if arguments.seed is None else arguments.seed
        only = replace(chosen, seeds=(seed,), overrides=tuple(arguments.overrides))
        plan = plan_of(replace(request, experiments=(only,)))
        job = plan.jobs[stage, plan.runs[0].ids[stage]]
        folders = [RESULTS / "store" / upstream / identity for upstream, identity in job.made_from.items()]
        return job.spec, folders, [Path(file) for file in job.files]
    plan = plan_of(replace(request, overrides=(*request.overrides, *arguments.overrides)))
    if stage in ("benchmark", "known_answers"):
        return plan.study_specs[stage], [], []
    if stage == "timing":
        return plan.study_specs[stage], [], sorted(RESULTS.glob(f"studies/{request.study}/logs/*.tsv"))
    if stage in ("judge", "render"):
        return plan.study_specs[stage], [RESULTS / "studies" / request.study], []
    folders = [RESULTS / "store" / made / identity for made in STAGES for identity in plan.ids(made)]
    return plan.study_specs[stage], folders, []
