"""Measure how each stage's time, memory and storage grow with a model, and foretell what larger ones would cost.

Random GPT-2s go through the plan of `model=...`, as a person's checkpoint does. Each job is forked from one process
that has imported everything, so that what is measured is the stage and not its start. A larger study has the runs of
the smaller ones before it, whose files it finds.
"""

import contextlib
import importlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from pipeline.benchmarks.floors import Product, seconds_of
from pipeline.benchmarks.scaling import PowerLaw, power_law
from pipeline.models.tiny import model_of
from pipeline.plumbing import graph, intact
from pipeline.plumbing.artefacts import Paths, write
from pipeline.plumbing.cost import cost_of
from pipeline.plumbing.scratch import Scratch
from pipeline.plumbing.stage import main
from pipeline.settings.scaling import MEASURED, LargerModel, ScalingSettings, Sizes
from pipeline.tables.scaling import COST, SCALING, SCALING_FITS, SCALING_FORETOLD, SIZES

PRODUCT = Product(512, 1024, 512, torch.float32, 2.0)  # one multiplication and addition, in a product of this shape
AXES = tuple(size.name for size in SIZES)
# Stages that hold all its weights.
WHOLE_MODEL = ("verify", "decompose", "project", "score", "ablate", "cover", "challenge", "overlap")
Laws = dict[tuple[str, str], PowerLaw]  # by stage, cost


def run(settings: ScalingSettings, inputs: Paths, outputs: Paths) -> None:
    """Measure, fit, and foretell, of the size that is held out before it is measured."""
    torch.set_num_threads(1)
    tqdm.monitor_interval = 0  # which would be a thread, and a copy of this process may have none
    for stage in MEASURED:
        importlib.import_module(f"pipeline.{stage}")
    folder = outputs.file("scaling.parquet").parent
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".scaling-", dir=folder) as scratch, contextlib.chdir(scratch):
        studies = tqdm([*sizes_of(settings), settings.held_out], desc="studies")
        rows = pd.DataFrame([row for sizes in studies for row in measured(settings, sizes)])
    rows["held_out"] = (rows[list(AXES)] == [getattr(settings.held_out, axis) for axis in AXES]).all(axis=1)
    laws = laws_of(settings, rows[~rows["held_out"]])
    write(SCALING, rows, outputs)
    write(SCALING_FITS, fits(laws, settings.confidence), outputs)
    write(SCALING_FORETOLD, foretold(settings, laws, rows[rows["held_out"]], seconds_of([PRODUCT], 1)), outputs)


def sizes_of(settings: ScalingSettings) -> list[Sizes]:
    """Return the base, and all that depart from it in one size."""
    axes = settings.axes.model_dump().items()
    return [settings.base, *(settings.base.model_copy(update={axis: size}) for axis, of in axes for size in of)]


def measured(settings: ScalingSettings, sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Run a study of random models of these sizes in the working folder; yield a row a stage, of a run's the first.

    What an earlier study has made is not made again.
    """
    name = "_".join(str(getattr(sizes, axis)) for axis in AXES)
    # Called by name: the planner decides what a stage is given, never what it computes.
    planned = importlib.import_module("pipeline.plumbing.planner").plan(
        {
            "model": ",".join(models(sizes)),
            "name": f"of_{name}",
            "overrides": f"model.n_ctx={sizes.context} {settings.overrides}",
        }
    )
    known = set()
    for job in (job for job in (*planned.jobs.values(), *planned.study_jobs.values()) if job.stage in MEASURED):
        files = planned.writes(job.stage, job.id)
        if job.id and all(Path(file).exists() for file in files):
            continue
        outputs = Paths(files, job.spec) if files else Scratch(Path(name, job.stage), job.spec)
        seconds, peak = cost_of(partial(work, Paths(planned.reads(job)), outputs, job.stage), settings.sampled_every)
        if job.stage not in known:
            known.add(job.stage)
            written = [Path(file) for file in files] or list(Path(name, job.stage).rglob("*.*"))
            stored = sum(file.stat().st_size for file in written)
            costs = {"cpu_seconds": seconds, "peak_bytes": peak, "stored_bytes": stored}
            yield {"stage": job.stage} | {axis: getattr(sizes, axis) for axis in AXES} | costs


def models(sizes: Sizes) -> Iterator[str]:
    """Save random GPT-2s of these sizes, as many as runs, where they are not yet; yield their folders."""
    shape = {"vocab_size": sizes.V, "n_layer": sizes.layers, "n_head": sizes.heads}
    shape |= {"n_embd": sizes.d_model, "n_positions": sizes.context}
    for seed in range(sizes.runs):
        folder = Path("models", "_".join(["gpt2", *map(str, shape.values()), str(seed)]))
        if not folder.exists():
            model_of("gpt2", torch.Generator().manual_seed(seed), **shape).save_pretrained(folder)
        yield str(folder)


def work(inputs: Paths, outputs: Paths, stage: str) -> None:
    """Run a stage as the workflow does."""
    outputs.made_from = intact.made_from(inputs.files)
    settings = graph.settings_of(stage).parse(json.loads(outputs.provenance)["settings"])
    importlib.import_module(f"pipeline.{stage}").run(settings, inputs, outputs)


def laws_of(settings: ScalingSettings, rows: pd.DataFrame) -> Laws:
    """Fit a law of each cost of each stage; a run's stage knows nothing of other runs."""
    least = {"cpu_seconds": settings.least_seconds, "peak_bytes": settings.least_bytes, "stored_bytes": 1}
    laws = {}
    for stage, of_it in rows.groupby("stage"):
        axes = list(AXES[:-1] if stage in graph.OF_A_RUN else AXES)
        for cost in COST.options:
            costs = of_it[cost].clip(lower=least[cost])
            laws[stage, cost] = power_law(axes, of_it[axes].to_numpy(), costs.to_numpy())
    return laws


def fits(laws: Laws, confidence: float) -> pd.DataFrame:
    """Return SCALING_FITS."""
    rows = []
    for (stage, cost), law in laws.items():
        known = {"stage": stage, "cost": cost, "measurements": law.freedom + len(law.logs), "confidence": confidence}
        for axis in law.axes:
            rows.append(known | {"axis": axis} | _ends("exponent", law.exponent(axis, confidence)))
    return pd.DataFrame(rows)


def foretold(settings: ScalingSettings, laws: Laws, held_out: pd.DataFrame, seconds_per_product: float) -> pd.DataFrame:
    """Return SCALING_FORETOLD.

    Args:
        settings: the stage's.
        laws: of each stage and cost.
        held_out: what was measured at the size that was held out.
        seconds_per_product: that a multiplication and an addition take.
    """
    found = held_out.set_index("stage")
    rows = []
    for model, sizes in ({"held_out": settings.held_out} | settings.models).items():
        floors = floors_of(sizes, seconds_per_product) if isinstance(sizes, LargerModel) else {}
        for (stage, cost), law in laws.items():
            known = {"model": model, "stage": stage, "cost": cost} | {axis: getattr(sizes, axis) for axis in AXES}
            ends = _ends("value", law.foretold(sizes.model_dump(), settings.confidence))
            of_it = {"measured": found.loc[stage, cost] if model == "held_out" else None}
            rows.append(known | ends | of_it | {"floor": floors.get((stage, cost))})
    return pd.DataFrame(rows).astype({"measured": float, "floor": float})


def floors_of(sizes: LargerModel, seconds_per_product: float) -> dict[tuple[str, str], float]:
    """Return the least that stages can cost, by arithmetic; see SCALING_FORETOLD."""
    parameters, of_layers = sizes.billions * 1e9, 12 * sizes.layers * sizes.d_model**2
    ablate = importlib.import_module("pipeline.plumbing.compose").compose((), (), "checkpoint", 0)["ablate"]
    sequences = len(ablate["eval_sets"]) * len(ablate["methods"]) * ablate["sentences"]
    passes = sizes.layers * sizes.heads * sequences * sizes.context * of_layers / 2
    return {
        ("ablate", "cpu_seconds"): passes * seconds_per_product,
        **dict.fromkeys(((stage, "peak_bytes") for stage in WHOLE_MODEL), 4 * parameters),
        **dict.fromkeys(((stage, "stored_bytes") for stage in ("train", "extract")), 4 * parameters),
    }


def _ends(name: str, ends: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, "lo", "hi"), ends, strict=True))


if __name__ == "__main__":
    main(ScalingSettings, run)
