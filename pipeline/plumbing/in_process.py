"""Run the jobs of many small models in a few processes, which start once and not once a job."""

import importlib
import os
import shutil
from collections import Counter
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from pipeline.plumbing.artefacts import Paths
from pipeline.plumbing.graph import settings_of
from pipeline.plumbing.lifeline import end_with
from pipeline.plumbing.scratch import Scratch
from pipeline.settings.known_answers import PlannedJob, Work


def run_jobs(work: Work, folder: Path, provenance: str, processes: int) -> None:
    """Run every stage of every model, each into <folder>/<stage>/<id>/.

    Args:
        work: what to run, and made from what.
        folder: where; what an earlier call left there is removed.
        provenance: goes into every table.
        processes: that share the models.

    Raises:
        ValueError: a stage refuses what it is given; the line says which.
    """
    shutil.rmtree(folder, ignore_errors=True)
    users = Counter(job for run in work.runs for job in run.ids.items())
    shared = [job for job in work.jobs if users[job.stage, job.id] > 1]
    own: dict[str, list[PlannedJob]] = {}
    for job in work.jobs:
        if job not in shared:
            own.setdefault(job.experiment, []).append(job)
    run = partial(_run, work, folder, provenance)
    run(shared)
    with get_context("spawn").Pool(processes, end_with, [os.getpid()]) as pool:
        for _ in tqdm(pool.imap_unordered(run, own.values()), desc="models", total=len(own)):
            pass


def _run(work: Work, folder: Path, provenance: str, jobs: list[PlannedJob]) -> None:
    for job in jobs:
        # Called by name, as the workflow does: the stages' code is not the caller's own, and the planner
        # says what it was.
        stage = importlib.import_module(f"pipeline.{job.stage}")
        files = [file for made in job.made_from for file in sorted((folder / made).iterdir()) if file.is_file()]
        try:
            settings = settings_of(job.stage).parse(work.slices[job.slice])
            stage.run(settings, Paths(files), Scratch(folder / job.stage / job.id, provenance))
        except ValueError as error:
            raise ValueError(f"{job.stage} of {job.experiment}: {error}") from error
