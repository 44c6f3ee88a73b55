"""What a folder of results is worth: `python -m pipeline.plumbing.audit [FOLDER]` holds every file against its plan."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.plumbing import graph, intact
from pipeline.plumbing.artefacts import origin_of
from pipeline.plumbing.plan import STORE, STUDIES, Job, Plan
from pipeline.plumbing.unused import holding_results, jobs_in_use, latest_plans
from pipeline.settings.figures import OF_A_STUDY, OF_AN_EXPERIMENT, OF_KNOWN_ANSWERS


@dataclass(frozen=True)
class Finding:
    """One file that is not as the latest plan of its study has it."""

    kind: str  # "missing", "altered" (damaged, or another job's), "stale", "orphaned" or, of a study, "unplanned"
    file: str
    why: str
    mend: str  # a command


def audit(root: Path) -> Iterator[Finding]:
    """Yield what is wrong with the results below `root`: the latest plan of every study there says what should be.

    Orphaned are folders of jobs that no study refers to: what was made with settings of before.

    Raises:
        ValueError: a plan cannot be read.
    """
    plans = latest_plans(root)
    for folder in sorted(folder for folder in (root / STUDIES).glob("*") if folder.is_dir()):
        if folder.name in plans:
            yield from _audit_study(root, plans[folder.name][1])
        else:
            place = folder.relative_to(root).as_posix()
            yield Finding(
                "unplanned",
                place,
                "no plan of it is kept to hold it against",
                f"snakemake -n --config {_asked(folder)}",
            )
    with suppress(ValueError):  # a study is damaged, which has been said: nobody knows what it refers to
        known = jobs_in_use(root, plans)
        for folder in sorted(folder for stage in graph.OF_A_RUN for folder in (root / STORE / stage).glob("*")):
            name = folder.relative_to(root).as_posix()
            if name not in known:
                yield Finding("orphaned", name, "no study refers to this job", f"rm -r {name}")


def _audit_study(root: Path, plan: Plan) -> Iterator[Finding]:
    config = _asked(root / plan.folder)
    for job in _jobs(plan):
        reads = _digests([root / file for file in plan.reads(job)])
        for name in (*plan.writes(job.stage, job.id), *_figures(plan, job)):
            wrong = _wrong(root / name, job, reads)
            if wrong is not None:
                yield Finding(wrong[0], name, wrong[1], f"snakemake --forcerun {name} --config {config}")


def _asked(folder: Path) -> str:
    """Return the request that made a study; where its record is lost, the study's name."""
    try:
        return json.loads((folder / "request.json").read_text(encoding="utf-8"))["request"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"study={folder.name}"


def _jobs(plan: Plan) -> list[Job]:
    if plan.study in graph.STAGES:  # known_answers runs its jobs itself
        return [plan.study_jobs[plan.study]]
    of_the_study = [job for stage, job in plan.study_jobs.items() if graph.STAGES[stage].of == "study"]
    return [*plan.jobs.values(), *of_the_study]


def _figures(plan: Plan, job: Job) -> list[str]:
    of_experiments = [f"{experiment}/{name}" for experiment in plan.experiments for name in OF_AN_EXPERIMENT]
    names = {"render": (*OF_A_STUDY, *of_experiments), "known_answers": OF_KNOWN_ANSWERS}.get(job.stage, ())
    return [f"{plan.folder}/figures/{name}{kind}" for name in names for kind in intact.FIGURES]


def _digests(reads: list[Path]) -> dict[str, str]:
    """Return what a job's inputs are now, by who made them; of nobody whose files lack one, which is said of that."""
    makers: dict[str, list[Path]] = {}
    for read in reads:
        makers.setdefault(intact.maker_of(read), []).append(read)
    digests: dict[str, str] = {}
    for files in makers.values():
        with suppress(ValueError):
            digests |= json.loads(intact.made_from(files))
    return digests


def _wrong(file: Path, job: Job, reads: dict[str, str]) -> tuple[str, str] | None:
    """Return what is wrong with one file, and why; None if nothing is."""
    if not file.exists():
        return "missing", "it is not there"
    if file.name.endswith(intact.RECORD):  # which is checked with its file
        return None
    planned = json.loads(job.spec)
    try:
        spec, made_from = origin_of(file) if file.suffix == ".parquet" else (planned, intact.check_beside(file))
    except ValueError as error:
        return "altered", str(error).removeprefix(f"{file}: ").split("; make it")[0]
    if spec != planned:
        changed = [part for part in ("settings", "code", "versions") if spec.get(part) != planned[part]]
        return "stale", f"made with other {' and '.join(changed)} than the plan's"
    if reads and not made_from:
        return "stale", "does not say what it was made from, for older code made it"
    other = [maker for maker, digest in reads.items() if made_from.get(maker) != digest]
    return ("stale", f"made from other files than lie there now ({', '.join(other)})") if other else None


def main(arguments: list[str] | None = None) -> int:
    """Print every finding and the command that mends it; return 1 if there is any."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.plumbing.audit", description=__doc__)
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="that holds results/ (default: here)")
    folder = parser.parse_args(arguments).folder
    try:
        found = list(audit(holding_results(folder)))
    except ValueError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 1
    for finding in found:
        print(f"{finding.kind} {finding.file}: {finding.why}\n    {finding.mend}")
    studies = sorted(study.name for study in (folder / STUDIES).glob("*") if study.is_dir())
    print(f"{len(found)} findings in {len(studies)} studies{': ' * bool(studies)}{', '.join(studies)}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
