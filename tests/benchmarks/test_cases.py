"""What the benchmark compares does the same. Nothing looks at a time."""

from itertools import product

import pytest
import torch
from smoke_benchmark import KINDS, smoke_settings, threads_restored

from pipeline.benchmarks import cases
from pipeline.benchmarks.cases import Case, atlas_layer, peak, times, ways_of


def ours_of(ways):
    (ours,) = ways.ours.values()
    return ours


@pytest.fixture(scope="module")
def settings():
    return smoke_settings()


@pytest.fixture(autouse=True)
def _threads():
    yield from threads_restored()


def test_the_search_lists_what_the_notebook_recipe_lists(settings):
    ways = ways_of(settings, Case("notebook_recipe", 80, 20))
    top, (rows, columns, values) = ours_of(ways)().top, ways.peers["dense"]()
    assert top.rows.tolist() == rows.tolist()
    assert top.columns.tolist() == columns.tolist()
    torch.testing.assert_close(top.values.float(), values)


@pytest.mark.parametrize("what", KINDS)
def test_inputs_are_the_same_each_time(settings, what):
    first, second = (ours_of(ways_of(settings, Case(what, 60, 3)))() for _ in range(2))
    assert torch.equal(first.top.values, second.top.values)
    assert torch.equal(first.bottom.rows, second.bottom.rows)


def test_a_median_lies_in_its_range(settings):
    (row,) = times(settings, Case("decaying", 60, 3))
    assert 0 < row["lo"] <= row["seconds"] <= row["hi"]
    assert row["baseline_lo"] <= row["baseline_seconds"] <= row["baseline_hi"]
    assert row["ratio"] == row["seconds"] / row["baseline_seconds"]


def test_memory_is_that_of_the_work(settings):
    small, large = (peak(settings, Case("notebook_recipe", V, 3), "dense") for V in (50, 4000))
    dense = 4 * 4000**2
    assert large >= dense
    assert small < dense < large < 3 * dense


def test_an_atlas_layer_searches_both_circuits_of_every_head(settings, monkeypatch):
    calls = []
    search = cases.top_pairs
    monkeypatch.setattr(cases, "top_pairs", lambda *arguments: calls.append(arguments) or search(*arguments))
    atlas_layer(settings, 0.9, 1)
    assert len(calls) == 2 * settings.n_heads
    assert {(len(side), side.rank) for call in calls for side in call[:2]} == {(settings.sizes[-1], settings.d_head)}
    assert {k for _, _, k in calls} == {settings.pairs[0]}


def test_units_are_read_at_every_token(settings):
    expected = {"units_feed_forward": settings.neurons * 80, "units_dimensions": 4 * settings.d_head * 80}
    for what, entries in expected.items():
        ways = ways_of(settings, Case(what, 80, 4))
        assert ours_of(ways)().entries_scored == entries
        assert sum(rows * columns for rows, columns in ways.peers["products"]()) == entries


def test_the_first_pairs_of_the_largest_size_are_listed_in_either_precision_and_by_every_peer(settings):
    rows = times(settings, Case("isotropic", 80, 3))
    precisions = {str(cases.FAST).removeprefix("torch."), "float32"}
    assert {(row["precision"], row["baseline"]) for row in rows} == set(product(precisions, settings.peers))
    assert [row["baseline"] for row in times(settings, Case("isotropic", 80, 20))] == ["bare_product"]


def test_a_training_is_held_against_its_products_and_the_usual_loop(settings):
    rows = times(settings, Case("training", 20, 2))
    assert {row["baseline"] for row in rows} >= {"float32_products", "transformers"}
    assert {row["entries_scored"] for row in rows} == {2 * 2 * 8}  # steps, sequences, tokens
