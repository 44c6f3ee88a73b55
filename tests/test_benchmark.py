"""The benchmark at tiny sizes: its table is whole, and what was measured is kept. Nothing looks at a time."""

import pytest
from smoke_benchmark import KINDS, smoke_settings, threads_restored

from pipeline import benchmark
from pipeline.plumbing.artefacts import Paths, read
from pipeline.tables.benchmark import BENCHMARK

UNITS = ["units_feed_forward", "units_dimensions"]


@pytest.fixture(scope="module")
def settings():
    return smoke_settings()


@pytest.fixture(autouse=True)
def _threads():
    yield from threads_restored()


def test_a_killed_benchmark_goes_on_where_it_stopped(settings, tmp_path, monkeypatch):
    outputs = Paths([tmp_path / f"benchmark.{kind}" for kind in ("parquet", "svg", "png")], '"spec"')
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

    timed = [arguments[1] for function, arguments in done if function is benchmark.times]
    assert len(timed) == len(set(timed)) + 1  # the comparison under way is measured again, no other
    table = read(BENCHMARK, outputs)
    largest = table[table["V"] == settings.sizes[-1]]
    assert set(largest["what"]) == {*KINDS, *UNITS, "atlas_decaying", "atlas_random"}
    assert set(table["what"]) == {*largest["what"], "training"}
    timed = table[table["what"].isin(["decaying", "notebook_recipe"])]
    assert set(zip(timed["what"], timed["V"], strict=True)) == {
        (what, V) for what in ("decaying", "notebook_recipe") for V in settings.sizes
    }
    atlas = table[table["what"].str.startswith("atlas")]
    assert (atlas["circuits"] == 2 * settings.n_layers * settings.n_heads).all()
    assert atlas["ratio"].isna().all()
    assert not table[~table["what"].str.startswith("atlas")].isna().any(axis=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["benchmark.parquet", "benchmark.png", "benchmark.svg"]


def test_what_is_asked_for_alone_is_measured(settings, tmp_path):
    outputs = Paths([tmp_path / f"benchmark.{kind}" for kind in ("parquet", "svg", "png")], '"spec"')
    benchmark.run(settings.model_copy(update={"what": ("training",)}), Paths([]), outputs)
    assert set(read(BENCHMARK, outputs)["what"]) == {"training"}
    with pytest.raises(ValueError, match="cooking is no comparison"):
        benchmark.work_of(settings.model_copy(update={"what": ("cooking",)}))


def test_a_peer_that_is_not_installed_is_told_before_anything_is_timed(settings, monkeypatch):
    monkeypatch.setattr(benchmark, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="faiss is not installed"):
        benchmark.run(settings.model_copy(update={"peers": ("faiss",)}), Paths([]), Paths([]))


def test_a_process_of_its_own_gives_the_same():
    assert benchmark.alone(sum, (1, 2, 3)) == 6
