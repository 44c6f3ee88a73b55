"""What a plan is: a study's runs and jobs, where each job's files are, and the plan as a file."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Self

from pipeline.plumbing import graph

STORE, STUDIES = "results/store", "results/studies"


@dataclass(frozen=True)
class Job:
    """One stage with one slice of settings, shared by every run that needs it; or a stage of the whole study."""

    stage: str
    id: str  # of a stage of the study, empty
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
    """A study: its runs, their jobs by (stage, id), and the jobs of the stages over all runs."""

    study: str
    runs: list[Run] = field(default_factory=list)
    jobs: dict[tuple[str, str], Job] = field(default_factory=dict)
    study_jobs: dict[str, Job] = field(default_factory=dict)

    @property
    def experiments(self) -> list[str]:
        """The experiments' names, in the study's order."""
        return list(dict.fromkeys(run.experiment for run in self.runs))

    @property
    def folder(self) -> str:
        """Where the study's results are."""
        return f"{STUDIES}/{self.study}"

    def ids(self, stage: str) -> list[str]:
        """The jobs of one stage, in the order of the runs."""
        return list(dict.fromkeys(run.ids[stage] for run in self.runs))

    def reads(self, job: Job) -> list[str]:
        """Return the files that a job reads."""
        paths = list(job.files)
        for maker, names in graph.reads_of(job.stage).items():
            if maker in job.made_from:
                folders = [f"{STORE}/{maker}/{job.made_from[maker]}"]
            elif maker in graph.OF_A_RUN:
                folders = [f"{STORE}/{maker}/{identity}" for identity in self.ids(maker)]
            else:
                folders = [self.folder]
            paths += [f"{folder}/{name}" for folder in folders for name in names]
        return paths

    def writes(self, stage: str, identity: str = "{id}") -> list[str]:
        """Return the files that a stage writes, figures apart; of a stage of a run, a pattern over jobs."""
        folder = f"{STORE}/{stage}/{identity}" if stage in graph.OF_A_RUN else self.folder
        return [f"{folder}/{name}" for name in graph.writes_of(stage)]

    def to_json(self) -> str:
        """Return the plan as text, equal for equal plans."""
        return dumps(asdict(self) | {"jobs": [asdict(job) for job in self.jobs.values()]})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the plan of `to_json`."""
        plan = json.loads(text)
        jobs = [_job(job) for job in plan["jobs"]]
        study_jobs = {stage: _job(job) for stage, job in plan["study_jobs"].items()}
        return cls(
            plan["study"], [Run(**run) for run in plan["runs"]], {(job.stage, job.id): job for job in jobs}, study_jobs
        )


def _job(values: dict) -> Job:
    return replace(Job(**values), files=tuple(values["files"]))


def spec_with(spec: str, **settings: object) -> str:
    """Return a job's spec with some settings changed, as if they had been asked for."""
    parsed = json.loads(spec)
    return dumps(parsed | {"settings": parsed["settings"] | settings})


def dumps(value: object) -> str:
    """Return JSON that is equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
