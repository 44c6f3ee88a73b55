import math

import pandas as pd
import pytest
from trained_runs import WHEN, events_of, run

from pipeline.claims.order import emergence_order
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.emergence import EMERGENCE_ORDER


def test_order_counts_only_runs_that_tell_the_events_apart():
    swapped = WHEN | {"copying": 596}
    table = events_of(pd.concat([run(), run(seed=1), run(swapped, seed=2)]))
    order = emergence_order(table, 0.95).set_index(["first", "second"])
    copying = order.loc["previous_token", "copying"]
    assert copying[["n_seeds", "before", "after"]].to_list() == [3, 1, 2]
    assert copying["share"] == pytest.approx(1 / 3)
    tied = order.loc["prefix_matching", "loss_drop"]
    assert tied[["before", "after"]].to_list() == [0, 0]
    assert math.isnan(tied["share"])
    assert tied["factor"] == pytest.approx(1)
    always = order.loc["previous_token", "loss_drop"]
    assert always["share"] == 1
    assert always["lo"] == pytest.approx(0.025 ** (1 / 3))  # Clopper and Pearson, three of three
    assert always["factor"] == pytest.approx((math.sqrt(481 * 577) - 100) / (math.sqrt(256 * 295) - 100))


def test_a_run_alone_has_a_factor_and_no_interval():
    order = emergence_order(events_of(run()), 0.95).set_index(["first", "second"])
    first = order.loc["previous_token", "prefix_matching"]
    assert first[["n_seeds", "before", "share"]].to_list() == [1, 1, 1]
    assert first["factor"] > 2
    assert first[["factor_lo", "factor_hi"]].isna().all()


def test_less_confidence_brings_the_ends_of_the_share_nearer():
    table = events_of(pd.concat([run(), run(seed=1), run(seed=2)]))
    low = [emergence_order(table, confidence)["lo"].max() for confidence in (0.95, 0.5)]
    assert low == pytest.approx([0.025 ** (1 / 3), 0.25 ** (1 / 3)])


def test_the_table_is_as_declared(tmp_path):
    files = Paths([tmp_path / "emergence_order.parquet"])
    for checkpoint_scores in (pd.concat([run(), run({}, seed=1)]), run().iloc[:0]):
        write(EMERGENCE_ORDER, emergence_order(events_of(checkpoint_scores), 0.95).assign(confidence=0.95), files)
