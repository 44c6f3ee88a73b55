import math

import numpy as np
import pytest
from measured_study import SEEDS, study

from pipeline.claims.intervals import drawn, intervals, probes_of, stacked
from pipeline.claims.measures import measures
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.effects import INTERVALS


def measured(tables):
    return measures(tables, (0.1, 0.2), (0.9, 1.0))


def interval_table(tables, resamples=200):
    return intervals(measured(tables), tables["runs"], 0.95, resamples, np.random.default_rng(0))


def test_an_experiments_own_interval_is_over_its_seeds(tmp_path):
    found = interval_table(study(shift=-0.4, noise=0.05), 20_000)
    write(INTERVALS, found.assign(confidence=0.95), Paths([tmp_path / "intervals.parquet"]))
    assert set(found["experiment"]) == {"base", "other"}
    row = found.set_index(["experiment", "metric"]).loc["base", "copying"]
    values = [0.5 + 0.05 * math.sin(seed + 1) for seed in SEEDS]
    assert row["value"] == pytest.approx(np.mean(values))
    half = 4.3027 * np.std(values, ddof=1) / math.sqrt(3)  # Student's t, two degrees of freedom
    assert (row["hi"] - row["lo"]) / 2 == pytest.approx(half, rel=0.05)
    gain = found.set_index(["experiment", "metric"]).loc["other", "second_copy_gain"]
    assert gain["value"] == pytest.approx(1.6)


def test_one_seed_has_a_value_and_no_interval():
    found = interval_table(study(seeds=(4,)))
    assert found[["lo", "hi"]].isna().all(axis=None)
    assert (found["n_seeds"] == 1).all()


def test_probes_are_named_by_what_drew_them():
    assert probes_of(study(probe="later", seeds=(1,))["runs"]) == {("base", 1): "same", ("other", 1): "later"}


def test_runs_of_the_same_sentences_are_drawn_together_and_others_apart():
    """Sentences alternate about the score in every run alike, so equal draws move it alike."""
    previous = ("previous_token", "previous_token", "mean", "text")
    for probe, together in (("same", True), ("later", False)):
        tables = study(probe=probe)
        runs = drawn(measured(tables), probes_of(tables["runs"]), 50, np.random.default_rng(0))[previous]
        moved = {name: draws[0][1:] - draws[0][0] for name, draws in runs.items()}
        assert np.allclose(moved["base"], moved["other"]) == together
        assert np.ptp(moved["base"]) > 0


def test_what_is_no_sentence_is_the_same_in_every_draw():
    tables = study()
    runs = drawn(measured(tables), probes_of(tables["runs"]), 50, np.random.default_rng(0))
    gain = runs["model", "second_copy_gain", "first_minus_second", "repeated_text"]["base"]
    assert {len(draws) for draws in gain.values()} == {51}
    np.testing.assert_allclose(list(gain.values()), 2)


def test_values_come_first_and_runs_by_rising_seed():
    values, draws = stacked({3: np.array([3.0, 30.0]), 1: np.array([1.0, 10.0])})
    assert values.tolist() == [1, 3]
    assert draws.tolist() == [[10, 30]]
