"""The benchmark at sizes too small to say anything, as its tests run it."""

import json

import torch

from pipeline.plumbing.planner import plan
from pipeline.settings.benchmark import BenchmarkSettings

KINDS = ["decaying", "power_law", "isotropic", "notebook_recipe"]


def smoke_settings():
    spec = json.loads(plan({"study": "smoke"}).study_jobs["benchmark"].spec)
    return BenchmarkSettings.parse(spec["settings"])


def threads_restored():
    """The body of a fixture: whatever a test sets, the next finds as many threads as before."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
