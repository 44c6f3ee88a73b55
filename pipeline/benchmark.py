"""Measure how long the exact search for strongest pairs takes, against plainer ways, and how much memory.

A measurement that ended is kept in a folder beside the outputs, so that a killed job goes on after it.
"""

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch
from tqdm import tqdm

from pipeline.benchmarks.cases import Case, atlas_layer, peak, times
from pipeline.circuits.vocabulary.balance import fast_precision
from pipeline.figures.benchmark import benchmark
from pipeline.figures.style import save
from pipeline.plumbing.artefacts import Paths, atomic, write
from pipeline.plumbing.lifeline import end_with
from pipeline.plumbing.stage import main
from pipeline.settings.benchmark import BenchmarkSettings
from pipeline.tables.benchmark import BENCHMARK

Answer = TypeVar("Answer")


def run(settings: BenchmarkSettings, inputs: Paths, outputs: Paths) -> None:
    """Measure what has not been measured yet, put it in one table, and draw it."""
    progress = outputs.file("benchmark.parquet").with_name(".progress")
    progress /= hashlib.sha256(outputs.provenance.encode()).hexdigest()[:12]
    rows = [once(progress / f"{name}.json", work) for name, work in tqdm(work_of(settings).items(), desc="measured")]
    frame = pd.DataFrame(rows)
    comparisons, atlas = frame[frame["layer"].isna()], frame[frame["layer"].notna()]
    frame = pd.concat([comparisons, whole_atlas(atlas)]).drop(columns="layer").assign(**surroundings(settings))
    write(BENCHMARK, frame, outputs)
    figure = benchmark(frame)
    for file_format in ("svg", "png"):
        with atomic(outputs.file(f"benchmark.{file_format}")) as temporary:
            save(figure, temporary, file_format, settings.dpi)
    shutil.rmtree(progress.parent)


def work_of(settings: BenchmarkSettings) -> dict[str, Callable[[], dict]]:
    """Name everything there is to measure: each comparison, then each layer of both atlases."""
    *smaller, largest = settings.sizes
    first = settings.pairs[0]
    cases = [Case(what, V, first) for V in smaller for what in ("decaying", "notebook_recipe")]
    cases += [Case(what, largest, k) for what in ("decaying", "power_law", "isotropic") for k in settings.pairs]
    cases.append(Case("notebook_recipe", largest, first))
    cases += [Case(what, largest, settings.unit_tokens) for what in ("units_feed_forward", "units_dimensions")]
    works = {f"{case.what}-{case.V}-{case.k}": partial(measured, settings, case) for case in cases}
    for what, decay in (("atlas_decaying", settings.decay), ("atlas_random", 1.0)):
        for layer in range(settings.n_layers):
            works[f"{what}-{layer}"] = partial(measured_layer, settings, what, decay, layer)
    return works


def once(path: Path, work: Callable[[], dict]) -> dict:
    """Return what a measurement gave, now or in a job that was killed after it."""
    if not path.exists():
        measurement = work()
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(measurement), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def measured(settings: BenchmarkSettings, case: Case) -> dict:
    """Return one row: times of both ways in one process, memory of each in another."""
    seconds = alone(times, settings, case)
    peaks = {"peak_bytes": alone(peak, settings, case, "ours")}
    peaks["baseline_peak_bytes"] = alone(peak, settings, case, "baseline")
    r = settings.neurons if case.what == "units_feed_forward" else settings.d_head
    where = {"what": case.what, "V": case.V, "r": r, "k": case.k}
    return where | seconds | peaks | {"circuits": 1, "repeats": settings.repeats, "layer": None}


def measured_layer(settings: BenchmarkSettings, what: str, decay: float, layer: int) -> dict:
    """Return what one layer of an atlas took."""
    where = {"what": what, "V": settings.sizes[-1], "r": settings.d_head, "k": settings.pairs[0]}
    return where | alone(atlas_layer, settings, decay, layer) | {"circuits": 2 * settings.n_heads, "layer": layer}


def alone(function: Callable[..., Answer], *arguments: object) -> Answer:
    """Call a function in a process that does nothing else."""
    with get_context("spawn").Pool(1, end_with, [os.getpid()]) as pool:
        return pool.apply(function, arguments)


def whole_atlas(layers: pd.DataFrame) -> pd.DataFrame:
    """Return one row an atlas: times add up over layers, memory does not."""
    how = {"seconds": "sum", "peak_bytes": "max", "circuits": "sum", "entries_scored": "sum"}
    frame = layers.groupby(["what", "V", "r", "k"], as_index=False).agg(how)
    frame["entries_scored"] /= frame["circuits"]
    return frame.assign(lo=frame["seconds"], hi=frame["seconds"], repeats=1)


def surroundings(settings: BenchmarkSettings) -> dict[str, Any]:
    """Say what else the numbers depend on."""
    information = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":")[1].strip() for line in information if line.startswith("model name")]
    return {
        "threads": settings.threads,
        "precision": str(fast_precision(torch.device("cpu"))).removeprefix("torch."),
        "versions": f"python {platform.python_version()}, torch {version('torch')}",
        "processor": names[0] if names else platform.machine(),
    }


if __name__ == "__main__":
    main(BenchmarkSettings, run)
