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
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import pandas as pd
from tqdm import tqdm

from pipeline.benchmarks.cases import Case, atlas_layer, peak, threads_of, times
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
    if "faiss" in settings.peers and find_spec("faiss") is None:
        raise ValueError("benchmark.peers: faiss is not installed; pip install '.[benchmark]', or leave it out")
    progress = outputs.file("benchmark.parquet").with_name(".progress")
    progress /= hashlib.sha256(outputs.provenance.encode()).hexdigest()[:12]
    works = tqdm(work_of(settings).items(), desc="measured")
    frame = pd.DataFrame([row for name, work in works for row in once(progress / f"{name}.json", work)])
    comparisons, atlas = frame[frame["layer"].isna()], frame[frame["layer"].notna()]
    frame = pd.concat([comparisons, whole_atlas(atlas)]).drop(columns="layer").assign(**surroundings())
    write(BENCHMARK, frame, outputs)
    figure = benchmark(frame)
    for file_format in ("svg", "png"):
        with atomic(outputs.file(f"benchmark.{file_format}")) as temporary:
            save(figure, temporary, file_format, settings.dpi)
    shutil.rmtree(progress.parent)


def work_of(settings: BenchmarkSettings) -> dict[str, Callable[[], list[dict]]]:
    """Name everything there is to measure: each comparison, then each layer of both atlases."""
    *smaller, largest = settings.sizes
    first = settings.pairs[0]
    cases = [Case(what, V, first) for V in smaller for what in ("decaying", "notebook_recipe")]
    cases += [Case(what, largest, k) for what in ("decaying", "power_law", "isotropic") for k in settings.pairs]
    cases.append(Case("notebook_recipe", largest, first))
    cases += [Case(what, largest, settings.unit_tokens) for what in ("units_feed_forward", "units_dimensions")]
    sizes = settings.training
    cases.append(Case("training", sizes.d_vocab, sizes.batch))
    works = {f"{case.what}-{case.V}-{case.k}": partial(measured, settings, case) for case in cases}
    for what, decay in (("atlas_decaying", settings.decay), ("atlas_random", 1.0)):
        for layer in range(settings.n_layers):
            works[f"{what}-{layer}"] = partial(measured_layer, settings, what, decay, layer)
    asked = set(settings.what or {name.split("-")[0] for name in works})
    if unknown := asked - {name.split("-")[0] for name in works}:
        raise ValueError(f"benchmark.what: {min(unknown)} is no comparison; name some that the table benchmark has")
    return {name: work for name, work in works.items() if name.split("-")[0] in asked}


def once(path: Path, work: Callable[[], list[dict]]) -> list[dict]:
    """Return what a measurement gave, now or in a job that was killed after it."""
    if not path.exists():
        measurement = work()
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(measurement), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def measured(settings: BenchmarkSettings, case: Case) -> list[dict]:
    """Return a row for each two ways: times of all in one process, memory of each in another."""
    rows = alone(times, settings, case)
    ways = {str(row[name]) for row in rows for name in ("precision", "baseline")}
    peaks = {way: alone(peak, settings, case, way) for way in sorted(ways)}
    widths = {"units_feed_forward": settings.neurons, "training": settings.training.d_model}
    where = {"what": case.what, "V": case.V, "r": widths.get(case.what, settings.d_head), "k": case.k, "layer": None}
    where |= {"circuits": 1, "repeats": settings.repeats, "threads": threads_of(settings, case)}
    kinds = {"peak_bytes": "precision", "baseline_peak_bytes": "baseline"}
    return [where | row | {name: peaks[str(row[kind])] for name, kind in kinds.items()} for row in rows]


def measured_layer(settings: BenchmarkSettings, what: str, decay: float, layer: int) -> list[dict]:
    """Return what one layer of an atlas took."""
    where = {"what": what, "V": settings.sizes[-1], "r": settings.d_head, "k": settings.pairs[0], "layer": layer}
    where |= {"circuits": 2 * settings.n_heads, "threads": settings.threads}
    return [where | alone(atlas_layer, settings, decay, layer)]


def alone(function: Callable[..., Answer], *arguments: object) -> Answer:
    """Call a function in a process that does nothing else."""
    with get_context("spawn").Pool(1, end_with, [os.getpid()]) as pool:
        return pool.apply(function, arguments)


def whole_atlas(layers: pd.DataFrame) -> pd.DataFrame:
    """Return one row an atlas: times add up over layers, memory does not."""
    how = {"seconds": "sum", "peak_bytes": "max", "circuits": "sum", "entries_scored": "sum"}
    frame = layers.groupby(["what", "V", "r", "k", "precision", "threads"], as_index=False).agg(how)
    frame["entries_scored"] /= frame["circuits"]
    return frame.assign(lo=frame["seconds"], hi=frame["seconds"], repeats=1)


def surroundings() -> dict[str, str]:
    """Say what else the numbers depend on."""
    information = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":")[1].strip() for line in information if line.startswith("model name")]
    packages = [name for name in ("torch", "transformers", "faiss-cpu") if find_spec(name.removesuffix("-cpu"))]
    told = ", ".join(f"{name} {version(name)}" for name in packages)
    return {
        "versions": f"python {platform.python_version()}, {told}",
        "processor": names[0] if names else platform.machine(),
    }


if __name__ == "__main__":
    main(BenchmarkSettings, run)
