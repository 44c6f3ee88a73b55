"""What a folder of results is worth: `python -m pipeline.plumbing.audit [FOLDER]` holds every file against its plan."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.plumbing import graph, intact
from pipeline.plumbing.artefacts import provenance_of
from pipeline.plumbing.plan import STORE, STUDIES, Job, Plan
from pipeline.settings.figures import OF_A_STUDY, OF_AN_EXPERIMENT

ENDS = {".png": b"IEND\xaeB`\x82", ".svg": b"</svg>\n"}  # of a figure that is whole


@dataclass(frozen=True)
class Finding:
    """One file that is not as the latest plan of its study has it."""

    kind: str  # "missing", "altered" (damaged, or another job's), "stale" or "orphaned"
    file: str
    why: str
    mend: str  # a command


def audit(root: Path) -> Iterator[Finding]:
    """Yield what is wrong with the results below `root`: the latest plan of every study there says what should be.

    Orphaned are folders of jobs that no study's latest plan has: what was made with settings of before.
    """
    planned = [latest for study in sorted((root / STUDIES).glob("*")) if (latest := plan_of(root, study.name))]
    for plan in planned:
        yield from _audit_study(root, plan)
    known = {f"{STORE}/{stage}/{identity}" for plan in planned for stage, identity in plan.jobs}
    for folder in sorted(folder for stage in graph.OF_A_RUN for folder in (root / STORE / stage).glob("*")):
        name = folder.relative_to(root).as_posix()
        if name not in known:
            yield Finding("orphaned", name, "no study's latest plan has this job", f"rm -r {name}")


def plan_of(root: Path, study: str) -> Plan | None:
    """Return the plan that a study followed last; None where no plan of it is kept."""
    files = sorted((root / STORE / "frozen").glob("*/plans/*.json"), key=lambda file: file.stat().st_mtime)
    plans = (Plan.from_json(file.read_text(encoding="utf-8")) for file in reversed(files))
    return next((plan for plan in plans if plan.study == study), None)


def _audit_study(root: Path, plan: Plan) -> Iterator[Finding]:
    asked = root / plan.folder / "request.json"
    try:
        config = json.loads(asked.read_text(encoding="utf-8"))["request"]
    except (OSError, ValueError, KeyError, TypeError):
        config = f"study={plan.study}"
    for job in _jobs(plan):
        reads = [root / file for file in plan.reads(job)]
        for name in (*plan.writes(job.stage, job.id), *_figures(plan, job)):
            wrong = _wrong(root / name, job, reads)
            if wrong is not None:
                yield Finding(wrong[0], name, wrong[1], f"snakemake --forcerun {name} --config {config}")


def _jobs(plan: Plan) -> list[Job]:
    if plan.study in graph.STAGES:  # known_answers runs its jobs itself
        return [plan.study_jobs[plan.study]]
    of_the_study = [job for stage, job in plan.study_jobs.items() if graph.STAGES[stage].of == "study"]
    return [*plan.jobs.values(), *of_the_study]


def _figures(plan: Plan, job: Job) -> list[str]:
    if job.stage != "render":
        return []
    names = [*OF_A_STUDY, *(f"{experiment}/{name}" for experiment in plan.experiments for name in OF_AN_EXPERIMENT)]
    return [f"{plan.folder}/figures/{name}{kind}" for name in names for kind in ENDS]


def _wrong(file: Path, job: Job, reads: list[Path]) -> tuple[str, str] | None:
    """Return what is wrong with one file, and why; None if nothing is."""
    if not file.exists():
        return "missing", "it is not there"
    spec = None
    try:
        if file.suffix == ".parquet":
            spec = provenance_of(file)
        elif file.suffix in ENDS:
            if not file.read_bytes().endswith(ENDS[file.suffix]):
                return "altered", "the figure is not whole"
        elif not file.name.endswith(intact.RECORD):  # which is checked with its file
            intact.check_beside(file)
    except ValueError as error:
        return "altered", str(error).removeprefix(f"{file}: ").split("; make it")[0]
    if spec is not None and spec != json.loads(job.spec):
        changed = [part for part in ("settings", "code", "versions") if spec.get(part) != json.loads(job.spec)[part]]
        return "stale", f"made with other {' and '.join(changed)} than the plan's"
    newer = [read for read in reads if read.exists() and read.stat().st_mtime_ns > file.stat().st_mtime_ns]
    return ("stale", f"{newer[0]} was made after it") if newer else None


def main(arguments: list[str] | None = None) -> int:
    """Print every finding and the command that mends it; return 1 if there is any."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.plumbing.audit", description=__doc__)
    parser.add_argument("folder", nargs="?", default=".", type=Path, help="that holds results/ (default: here)")
    found = list(audit(parser.parse_args(arguments).folder))
    for finding in found:
        print(f"{finding.kind} {finding.file}: {finding.why}\n    {finding.mend}")
    print(f"{len(found)} findings")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
