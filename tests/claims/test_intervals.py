import math

import numpy as np
import pytest
from measured_study import SEEDS, study

from pipeline.claims.intervals import intervals
from pipeline.claims.measures import measures
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.effects import INTERVALS


def interval_table(tables):
    return intervals(measures(tables, (0.1, 0.2), (0.9, 1.0)), 0.95)


def test_an_experiments_own_interval_is_over_its_seeds(tmp_path):
    table = interval_table(study(shift=-0.4, noise=0.05))
    write(INTERVALS, table.assign(confidence=0.95), Paths([tmp_path / "intervals.parquet"]))
    assert set(table["experiment"]) == {"base", "other"}
    row = table.set_index(["experiment", "metric"]).loc["base", "copying"]
    values = [0.5 + 0.05 * math.sin(seed + 1) for seed in SEEDS]
    assert row["value"] == pytest.approx(np.mean(values))
    half = 4.3027 * np.std(values, ddof=1) / math.sqrt(3)  # Student's t, two degrees of freedom
    assert (row["hi"] - row["lo"]) / 2 == pytest.approx(half, rel=1e-4)


def test_sentences_that_all_seeds_share_count_although_seeds_agree():
    """Losses are the same in every seed, and alternate by 0.1 over six sentences."""
    gain = interval_table(study(shift=-0.4)).set_index(["experiment", "metric"]).loc["other", "second_copy_gain"]
    assert gain["value"] == pytest.approx(1.6)
    assert (gain["hi"] - gain["lo"]) / 2 == pytest.approx(2.5706 * 0.1 / math.sqrt(5), rel=1e-4)


def test_one_seed_has_a_value_and_no_interval():
    table = interval_table(study(seeds=(4,)))
    assert table[["lo", "hi"]].isna().all(axis=None)
    assert (table["n_seeds"] == 1).all()
