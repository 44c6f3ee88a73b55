"""The benchmark at tiny sizes: what it compares does the same, and its table is whole. Nothing looks at a time."""

import json

import pytest
import torch

from pipeline import benchmark
from pipeline.benchmarks.cases import Case, atlas_layer, peak, times, ways_of
from pipeline.plumbing.artefacts import Paths, read
from pipeline.plumbing.planner import plan
from pipeline.settings.benchmark import BenchmarkSettings
from pipeline.tables.benchmark import BENCHMARK

KINDS = ["decaying", "power_law", "isotropic", "notebook_recipe"]
UNITS = ["units_feed_forward", "units_dimensions"]


@pytest.fixture(scope="module")
def settings():
    spec = json.loads(plan({"study": "smoke"}).study_jobs["benchmark"].spec)
    return BenchmarkSettings.parse(spec["settings"])


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_search_lists_what_the_notebook_recipe_lists(settings):
    ways = ways_of(settings, Case("notebook_recipe", 80, 20))
    found, (rows, columns, values) = ways.ours().top, ways.baseline()
    assert found.rows.tolist() == rows.tolist()
    assert found.columns.tolist() == columns.tolist()
    torch.testing.assert_close(found.values.float(), values)


@pytest.mark.parametrize("what", KINDS)
def test_inputs_are_the_same_each_time(settings, what):
    first, second = (ways_of(settings, Case(what, 60, 3)).ours() for _ in range(2))
    assert torch.equal(first.top.values, second.top.values)
    assert torch.equal(first.bottom.rows, second.bottom.rows)


def test_a_median_lies_in_its_range(settings):
    row = times(settings, Case("decaying", 60, 3))
    assert 0 < row["lo"] <= row["seconds"] <= row["hi"]
    assert row["baseline_lo"] <= row["baseline_seconds"] <= row["baseline_hi"]
    assert row["ratio"] == row["seconds"] / row["baseline_seconds"]


def test_memory_is_that_of_the_work(settings):
    small, large = (peak(settings, Case("notebook_recipe", V, 3), "baseline") for V in (50, 4000))
    dense = 4 * 4000**2
    assert large >= dense
    assert small < dense < large < 3 * dense


def test_an_atlas_layer_searches_both_circuits_of_every_head(settings, monkeypatch):
    calls = []
    search = benchmark.atlas_layer.__globals__["top_pairs"]
    monkeypatch.setitem(
        benchmark.atlas_layer.__globals__, "top_pairs", lambda *arguments: calls.append(arguments) or search(*arguments)
    )
    atlas_layer(settings, 0.9, 1)
    assert len(calls) == 2 * settings.n_heads
    assert {(len(side), side.rank) for call in calls for side in call[:2]} == {(settings.sizes[-1], settings.d_head)}
    assert {k for _, _, k in calls} == {settings.pairs[0]}


def test_units_are_read_at_every_token(settings):
    expected = {"units_feed_forward": settings.neurons * 80, "units_dimensions": 4 * settings.d_head * 80}
    for what, entries in expected.items():
        ways = ways_of(settings, Case(what, 80, 4))
        assert ways.ours().entries_scored == entries
        assert sum(rows * columns for rows, columns in ways.baseline()) == entries


def test_a_killed_benchmark_goes_on_where_it_stopped(settings, tmp_path, monkeypatch):
    outputs = Paths([tmp_path / f"benchmark.{kind}" for kind in ("parquet", "svg", "png")], "spec")
    done = []

    def here(function, *arguments):
        if len(done) == 20 and not interrupted:
            interrupted.append(True)
            raise KeyboardInterrupt
        done.append((function, arguments))
        return function(*arguments)

    interrupted = []
    monkeypatch.setattr(benchmark, "alone", here)
    with pytest.raises(KeyboardInterrupt):
        benchmark.run(settings, Paths([]), outputs)
    assert not outputs.file("benchmark.parquet").exists()
    benchmark.run(settings, Paths([]), outputs)

    # Three calls a comparison, one a layer: the comparison under way is measured again, no other.
    works = benchmark.work_of(settings)
    layers = 2 * settings.n_layers
    assert len(done) == 3 * (len(works) - layers) + layers + 20 % 3
    table = read(BENCHMARK, outputs)
    largest = table[table["V"] == settings.sizes[-1]]
    assert set(largest["what"]) == {*KINDS, *UNITS, "atlas_decaying", "atlas_random"}
    timed = table[table["what"].isin(["decaying", "notebook_recipe"])]
    assert set(zip(timed["what"], timed["V"], strict=True)) == {
        (what, V) for what in ("decaying", "notebook_recipe") for V in settings.sizes
    }
    atlas = table[table["what"].str.startswith("atlas")]
    assert (atlas["circuits"] == 2 * settings.n_layers * settings.n_heads).all()
    assert atlas["ratio"].isna().all()
    assert not table[~table["what"].str.startswith("atlas")].isna().any(axis=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["benchmark.parquet", "benchmark.png", "benchmark.svg"]


def test_a_process_of_its_own_gives_the_same():
    assert benchmark.alone(sum, (1, 2, 3)) == 6


def test_more_pairs_than_a_circuit_has_are_refused(settings):
    with pytest.raises(ValueError, match="2501 are more than a circuit of 50 tokens has"):
        BenchmarkSettings.parse(json.loads(settings.model_dump_json()) | {"pairs": [2501]})
