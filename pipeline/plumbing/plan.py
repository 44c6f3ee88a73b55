"""From a request (`snakemake --config ...`) to jobs: which stage runs with which settings, made from what.

Hydra composes conf/ once for every experiment and seed; each stage's slice is checked against its
settings class; equal slices made from equal inputs are one job, named by their hash. Imports neither
torch nor transformers: the Snakefile loads this on every call.
"""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from pipeline.plumbing import compose
from pipeline.plumbing.errors import ConfigError, explain, nearest
from pipeline.plumbing.fingerprint import code_of
from pipeline.plumbing.request import STUDY_STAGES, Request
from pipeline.plumbing.settings_of import settings_of
from pipeline.plumbing.work import work_of

# Which stages' files each stage reads, in the order they run.
STAGES = {
    "prepare": (),
    "probe": ("prepare",),
    "train": ("prepare",),
    "extract": ("train",),
    "verify": ("probe", "train", "extract"),
    "decompose": ("probe", "train", "extract", "verify"),
    "project": ("prepare", "extract"),
    "score": ("probe", "prepare", "train", "extract", "verify"),
    "ablate": ("probe", "extract", "verify"),
    "score_checkpoints": ("probe", "prepare", "train", "verify"),
    "challenge": ("prepare", "extract", "verify"),
    "overlap": ("probe", "extract"),
}
# Nothing is said of a model that was not verified; but what is said does not depend on how it was.
GATE = "verify"


@dataclass(frozen=True)
class Job:
    """One stage with one slice of settings, shared by every run that needs it."""

    stage: str
    id: str
    spec: str  # JSON handed to the stage: settings, code fingerprint, package versions
    made_from: dict[str, str]  # stage -> id
    files: tuple[str, ...]  # a person's own files it reads
    threads: int


@dataclass(frozen=True)
class Run:
    """One seed of one experiment, and the job that makes each of its stages."""

    experiment: str
    seed: int
    ids: dict[str, str]


@dataclass
class Plan:
    """A study: its runs, their jobs by (stage, id), and the specs of the stages over all runs."""

    study: str
    runs: list[Run] = field(default_factory=list)
    jobs: dict[tuple[str, str], Job] = field(default_factory=dict)
    study_specs: dict[str, str] = field(default_factory=dict)
    study_threads: dict[str, int] = field(default_factory=dict)

    @property
    def experiments(self) -> list[str]:
        """The experiments' names, in the study's order."""
        return list(dict.fromkeys(run.experiment for run in self.runs))

    def ids(self, stage: str) -> list[str]:
        """The jobs of one stage, in the order of the runs."""
        return list(dict.fromkeys(run.ids[stage] for run in self.runs))


def plan(config: dict) -> Plan:
    """Turn Snakemake's --config into a checked plan.

    Raises:
        ConfigError: one line that names the key, the value and the nearest right one.
    """
    return plan_of(Request.parse(config))


def plan_of(request: Request) -> Plan:
    """Turn a request into a checked plan; raises as `plan` does."""
    result = Plan(request.study)
    composed = {}
    for experiment in request.experiments:
        usual = compose.compose((), (), experiment.base, 0)
        for seed in experiment.seeds:
            cfg = compose.compose(request.overrides, experiment.overrides, experiment.base, seed)
            composed.setdefault(experiment.name, cfg)
            _add_run(result, Run(experiment.name, seed, {}), cfg, usual)
    # What a study stage must know of the study itself stands beside its slice.
    runs = [{"experiment": run.experiment, "seed": run.seed, "ids": run.ids} for run in result.runs]
    questions = [[name, cfg["question"]] for name, cfg in composed.items()]
    models = [
        {
            "experiment": run.experiment,
            "seed": run.seed,
            "vocabulary": run.ids["prepare"],
            "weights": run.ids["extract"],
        }
        for run in result.runs
    ]
    shared = {
        "align": {"runs": models},
        "summarise": {"request": request.text, "runs": runs},
        "judge": {"experiments": result.experiments},
        "known_answers": {"work": work_of(result.runs, result.jobs)},
        "render": {"questions": questions},
    }
    first = composed[request.experiments[0].name]
    for stage in STUDY_STAGES:
        settings = first[stage] | shared.get(stage, {})
        result.study_threads[stage] = check(stage, settings, usual[stage])[1]
        result.study_specs[stage] = spec_of(stage, settings)
    return result


def _add_run(result: Plan, run: Run, cfg: dict, usual: dict) -> None:
    for stage, upstream in STAGES.items():
        made_from = {name: run.ids[name] for name in upstream}
        files, threads = check(stage, cfg[stage], usual[stage])
        matter = {name: made for name, made in made_from.items() if name != GATE}
        identity = hashlib.sha256(dumps([stage, cfg[stage], matter]).encode()).hexdigest()[:12]
        run.ids[stage] = identity
        if (stage, identity) not in result.jobs:
            job = Job(stage, identity, spec_of(stage, cfg[stage]), made_from, tuple(files), threads)
            result.jobs[stage, identity] = job
    result.runs.append(run)


def check(stage: str, settings: dict, usual: dict) -> tuple[list[str], int]:
    """Check a slice against its settings class; return the person's files it names, and its threads.

    Raises:
        ConfigError: a setting is unknown, missing, of the wrong type or out of range, or a file is not there.
    """
    try:
        parsed = settings_of(stage).parse(settings)
    except ValidationError as error:
        raise ConfigError(explain(stage, settings, usual, error)) from error
    for file in parsed.files():
        if not Path(file).exists():
            siblings = [str(path) for path in Path(file).parent.glob("*")]
            raise ConfigError(f"{file}: no such file or folder{nearest(file, siblings)}")
    return parsed.files(), parsed.threads


def spec_of(stage: str, settings: dict) -> str:
    """Return what a job is given, as one plain string: the engine compares it to decide what to rerun."""
    code, versions = code_of(stage)
    return dumps({"settings": settings, "code": code, "versions": versions})


def spec_with(spec: str, **settings: object) -> str:
    """Return a job's spec with some settings changed, as if they had been asked for."""
    parsed = json.loads(spec)
    return dumps(parsed | {"settings": parsed["settings"] | settings})


def dumps(value: object) -> str:
    """Return JSON that is equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
