"""The stage on costs that a law made, and one small model that is measured."""

import json
from contextlib import chdir

import pandas as pd
import pytest
import torch
from smoke_benchmark import threads_restored

from pipeline import scaling
from pipeline.plumbing import graph
from pipeline.plumbing.artefacts import Paths, read
from pipeline.plumbing.planner import plan
from pipeline.settings.scaling import ScalingSettings, Sizes
from pipeline.tables.scaling import SCALING, SCALING_FITS, SCALING_FORETOLD

TINY = Sizes(V=31, layers=2, heads=2, d_model=8, context=32, runs=1)
POWERS = {"V": 1.0, "layers": 2.0, "heads": 0.5, "d_model": 1.5, "context": 1.0, "runs": 1.0}


@pytest.fixture
def settings():
    return ScalingSettings.parse(json.loads(plan({"study": "smoke"}).study_jobs["scaling"].spec)["settings"])


@pytest.fixture(autouse=True)
def _threads():
    yield from threads_restored()


def made_up(settings, sizes):
    """Of two stages: costs that grow by POWERS; those of a run's stage, whatever the runs."""
    for stage in ("score", "judge"):
        own = POWERS | ({"runs": 0.0} if stage in graph.OF_A_RUN else {})
        cost = 1e-3
        for axis, power in own.items():
            cost *= getattr(sizes, axis) ** power
        costs = {"cpu_seconds": cost, "peak_bytes": round(1e9 * cost), "stored_bytes": round(1e6 * cost)}
        yield {"stage": stage, **sizes.model_dump(), **costs}


def test_laws_are_found_and_foretell(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "measured", made_up)
    monkeypatch.setattr(scaling, "seconds_of", lambda *_: 1e-11)
    outputs = Paths([tmp_path / f"{table.name}.parquet" for table in (SCALING, SCALING_FITS, SCALING_FORETOLD)])
    scaling.run(settings, Paths([]), outputs)
    rows, fits, foretold = (read(table, outputs) for table in (SCALING, SCALING_FITS, SCALING_FORETOLD))
    assert rows["held_out"].sum() == 2
    assert len(rows) == 2 * (2 + sum(len(sizes) for _, sizes in settings.axes))
    of_study = fits[(fits["stage"] == "judge") & (fits["cost"] == "cpu_seconds")].set_index("axis")["exponent"]
    assert of_study.to_dict() == pytest.approx(POWERS)
    assert set(fits[fits["stage"] == "score"]["axis"]) == {*POWERS} - {"runs"}
    known = foretold[foretold["model"] == "held_out"]
    assert known["value"].tolist() == pytest.approx(known["measured"].tolist(), rel=1e-3)
    xl = foretold[foretold["model"] == "gpt2_xl"].set_index(["stage", "cost"])
    (score, judge) = made_up(settings, settings.models["gpt2_xl"])
    assert xl.loc[("score", "cpu_seconds"), "value"] == pytest.approx(score["cpu_seconds"])
    assert xl.loc[("judge", "peak_bytes"), "value"] == pytest.approx(judge["peak_bytes"], rel=1e-3)
    assert xl["measured"].isna().all()
    assert xl.loc[("score", "peak_bytes"), "floor"] == 4 * 1.56e9


def test_floors_are_arithmetic(settings):
    """GPT-2 XL's 1200 heads, 2 sets of 8 sequences of 128 tokens, 2 methods, half of 48 layers of 12 d_model^2."""
    floors = scaling.floors_of(settings.models["gpt2_xl"], 1e-11)
    seconds = 1200 * 2 * 8 * 128 * 2 * 24 * 12 * 1600**2 * 1e-11
    assert floors["ablate", "cpu_seconds"] == pytest.approx(seconds)
    assert floors["extract", "stored_bytes"] == 4 * 1.56e9


def test_each_stage_is_measured_once_and_what_is_there_is_not_made_again(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "MEASURED", ("prepare", "probe", "train"))
    with chdir(tmp_path):
        rows = pd.DataFrame(scaling.measured(settings, TINY))
        assert rows["stage"].tolist() == ["prepare", "probe", "train"]
        assert (rows["stored_bytes"] > 0).all()
        assert (rows["cpu_seconds"] > 0).all()
        there = sum(file.stat().st_size for file in tmp_path.glob("results/store/train/*/*"))
        assert rows.set_index("stage").loc["train", "stored_bytes"] == there
        assert list(scaling.measured(settings, TINY)) == []
        assert len(list(scaling.measured(settings, TINY.model_copy(update={"runs": 2})))) == 3


def test_the_speed_of_a_product_is_of_this_processor():
    torch.set_num_threads(1)
    assert 1e-13 < scaling.seconds_of([scaling.PRODUCT], 1) < 1e-8
