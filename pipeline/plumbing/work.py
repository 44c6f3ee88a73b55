"""All jobs of a plan as plain values, for a stage that runs them itself."""

import json
from collections.abc import Iterable
from typing import Any


def work_of(runs: Iterable, jobs: dict[tuple[str, str], Any]) -> dict[str, Any]:
    """Return a plan's jobs, in the order they run, as settings of `Work`.

    Args:
        runs: of the plan; each has its experiment, seed and ids by stage.
        jobs: of the plan, by (stage, id).
    """
    slices, planned, code = [], {}, {}
    for run in runs:
        for stage, identity in run.ids.items():
            job = jobs[stage, identity]
            spec = json.loads(job.spec)
            code[stage] = spec["code"]
            if spec["settings"] not in slices:
                slices.append(spec["settings"])
            made_from = [f"{maker}/{made}" for maker, made in job.made_from.items()]
            which = {"stage": stage, "id": identity, "experiment": run.experiment, "made_from": made_from}
            planned.setdefault((stage, identity), which | {"slice": slices.index(spec["settings"])})
    told = [{"experiment": run.experiment, "seed": run.seed, "ids": run.ids} for run in runs]
    return {"runs": told, "jobs": list(planned.values()), "slices": slices, "code": code}
