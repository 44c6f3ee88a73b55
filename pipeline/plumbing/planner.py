"""From a request (`snakemake --config ...`) to jobs: which stage runs with which settings, made from what.

Hydra composes conf/ once for every experiment and seed; each stage's slice is checked against its
settings class; equal slices made from equal inputs are one job, named by their hash. Imports neither
torch nor transformers: the Snakefile loads this on every call.
"""

import hashlib
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from pipeline.plumbing import compose, graph
from pipeline.plumbing.compose import set_by
from pipeline.plumbing.errors import ConfigError, explain, nearest
from pipeline.plumbing.fingerprint import code_of
from pipeline.plumbing.needs import check_needs, check_together
from pipeline.plumbing.plan import STORE, Job, Plan, Run, dumps
from pipeline.plumbing.request import Request
from pipeline.plumbing.work import work_of


def plan(config: dict) -> Plan:
    """Turn Snakemake's --config into a checked plan.

    Raises:
        ConfigError: one line that names the key, the value and the nearest right one.
    """
    return plan_of(Request.parse(config))


def plan_of(request: Request) -> Plan:
    """Turn a request into a checked plan; raises as `plan` does."""
    planned = Plan(request.study)
    composed = {}  # of each experiment, for its first seed
    models: dict[tuple[str, str], int] = {}  # seed of every experiment's model
    for experiment in request.experiments:
        usual = compose.compose((), (), experiment.base, 0)
        for seed in experiment.seeds:
            cfg = compose.compose(request.overrides, experiment.overrides, experiment.base, seed)
            if experiment.name not in composed:
                check_needs(cfg, usual)
                composed[experiment.name] = cfg
            _add_run(planned, Run(experiment.name, seed, {}), cfg, usual)
            _refuse_twins(planned, models, cfg)
        prepared = planned.jobs["prepare", planned.runs[-1].ids["prepare"]]
        check_together(composed[experiment.name], usual, prepared.files)
    of_the_study = _facts(planned, request, {name: cfg["question"] for name, cfg in composed.items()})
    first = composed[request.experiments[0].name]
    for stage in graph.OF_A_STUDY:
        settings = first[stage] | of_the_study.get(stage, {})
        files, threads = check(stage, settings, usual[stage], first)
        spec = spec_of(stage, settings, planned.folder)
        planned.study_jobs[stage] = Job(stage, "", spec, {}, tuple(files), threads)
    return planned


def _facts(planned: Plan, request: Request, questions: dict[str, str]) -> dict[str, dict]:
    """Return what stages of a study must know of the study itself, beside their slice."""
    runs = [{"experiment": run.experiment, "seed": run.seed, "ids": run.ids} for run in planned.runs]
    models = [
        {
            "experiment": run.experiment,
            "seed": run.seed,
            "vocabulary": run.ids["prepare"],
            "weights": run.ids["extract"],
        }
        for run in planned.runs
    ]
    return {
        "align": {"runs": models},
        "summarise": {"request": request.text, "runs": runs},
        "judge": {"experiments": planned.experiments},
        "manifest": {"runs": runs},
        "timing": {"runs": runs},
        "known_answers": {"work": work_of(planned.runs, planned.jobs)},
        "render": {"questions": list(questions.items())},
        "atlas": {"study": planned.study, "request": request.text, "questions": list(questions.items())},
    }


def _add_run(planned: Plan, run: Run, cfg: dict, usual: dict) -> None:
    for stage, declared in graph.OF_A_RUN.items():
        made_from = {name: run.ids[name] for name in graph.OF_A_RUN if name in graph.upstream_of(declared)}
        files, threads = check(stage, cfg[stage], usual[stage], cfg)
        matter = {name: made for name, made in made_from.items() if name != graph.GATE}
        identity = hashlib.sha256(dumps([stage, cfg[stage], matter]).encode()).hexdigest()[:12]
        run.ids[stage] = identity
        if (stage, identity) not in planned.jobs:
            spec = spec_of(stage, cfg[stage], f"{STORE}/{stage}/{identity}")
            job = Job(stage, identity, spec, made_from, tuple(files), threads)
            planned.jobs[stage, identity] = job
    planned.runs.append(run)


def _refuse_twins(planned: Plan, models: dict[tuple[str, str], int], cfg: dict) -> None:
    """Refuse the latest run if its model is that of another seed of its experiment: it would count as one more."""
    run = planned.runs[-1]
    obtained = "path" in cfg["model"]  # a file, which no seed changes
    model = dumps(cfg["train"] | {"seed": None}) if obtained else run.ids["train"]
    if (run.experiment, model) in models:
        first = models[run.experiment, model]
        why = "a model that was made elsewhere has no seeds: ask for seeds=0" if obtained else "give each seed once"
        if not obtained and first != run.seed:
            why = f"train.seed={cfg['train']['seed']} sets what seeds are to vary; leave it out"
        raise ConfigError(f"{run.experiment}: seeds {first} and {run.seed} are one and the same model; {why}")
    models[run.experiment, model] = run.seed


def check(stage: str, settings: dict, usual: dict, cfg: dict | None = None) -> tuple[list[str], int]:
    """Check a slice against its settings class; return the person's files it names, and its threads.

    Args:
        stage: whose slice it is.
        settings: the slice.
        usual: the slice as conf/ has it.
        cfg: the whole configuration, where a refused setting may have another name.

    Raises:
        ConfigError: a setting is unknown, missing, of the wrong type or out of range, or a file is not there.
    """
    try:
        parsed = graph.settings_of(stage).parse(settings)
    except ValidationError as error:
        raise ConfigError(explain(stage, settings, usual, error, partial(set_by, composed=cfg or {}))) from error
    for name in parsed.of_the_workflow:
        if settings[name] is not None:
            raise ConfigError(
                f"{stage}.{name}={settings[name]}: a part would pass for the whole; set {stage}.{name}s alone, "
                f"and each job is given its {name}"
            )
    for file in parsed.files():
        if not Path(file).exists():
            siblings = [str(path) for path in Path(file).parent.glob("*")]
            raise ConfigError(f"{file}: no such file or folder{nearest(file, siblings)}")
    return parsed.files(), parsed.threads


def spec_of(stage: str, settings: dict, folder: str) -> str:
    """Return what a job is given, as one plain string: the engine compares it to decide what to rerun.

    Its folder is its identity: what it writes says so, and is read nowhere else.
    """
    code, versions = code_of(stage)
    return dumps({"settings": settings, "code": code, "versions": versions, "job": folder})
