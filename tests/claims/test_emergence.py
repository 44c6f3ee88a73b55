import math

import numpy as np
import pandas as pd
import pytest
from trained_runs import SMALLEST, STEPS, WHEN, events_of, run

from pipeline.claims.emergence import EVENTS, came_before, curves, emergence, geometric_mean
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.emergence import EMERGENCE


def test_heads_are_those_of_the_last_checkpoint():
    found = curves(run())
    assert {event: head for event, (head, _) in found.items()} == {
        "previous_token": (0, 1),
        "prefix_matching": (1, 2),
        "copying": (1, 2),
        "k_composition": (1, 2),
        "loss_drop": None,
    }
    assert found["k_composition"][1].to_list() == pytest.approx([1] * 6 + [2] * 5)
    assert found["prefix_matching"][1].iloc[-1] == 0.81  # the worst period
    assert found["loss_drop"][1].iloc[[0, -1]].to_list() == [0, 2]


def test_events_happen_between_the_checkpoints_about_them_and_in_order():
    table = events_of(run())
    found = table[table["seed"] == 0].set_index("event")
    for event, step in WHEN.items():
        assert found["hi"][event] == pytest.approx(step)
        assert found["lo"][event] == pytest.approx(STEPS[STEPS.index(step) - 1])
    assert found["rank"].to_dict() == {
        "copying": 1,
        "previous_token": 2,
        "k_composition": 3,
        "prefix_matching": 4,
        "loss_drop": 4,
    }
    assert found.loc["loss_drop", ["before_level", "after_level"]].to_list() == pytest.approx([0, 2])


def test_an_event_that_does_not_happen_has_no_step():
    without = {event: step for event, step in WHEN.items() if event not in ("prefix_matching", "loss_drop")}
    table = events_of(run(without), SMALLEST | {"copying": 1.1})
    found = table[table["seed"] == 0].set_index("event")
    assert found["step"].isna().to_dict() == {
        event: event not in ("previous_token", "k_composition") for event in EVENTS
    }
    assert found["rank"].isna().equals(found["step"].isna())
    assert found.loc["copying", "after_level"] == pytest.approx(1)
    assert (table[table["seed"].isna()].set_index("event")["n_seeds"] == found["n_seeds"]).all()


def test_one_layer_feeds_no_other():
    rows = run()
    rows = rows[(rows["layer"] != 1).fillna(True)]
    rows.loc[rows["metric"] == "previous_token", ["metric", "definition", "eval_set", "period"]] = [
        "induction",
        "mass",
        "repeated_tokens",
        37,
    ]
    both = pd.concat([rows, run()[lambda frame: (frame["layer"] == 0).fillna(False)]])
    assert "k_composition" not in curves(both)
    assert events_of(both).query("event == 'k_composition'")["step"].isna().all()


def test_over_seeds_steps_average_in_the_logarithm():
    late = {event: STEPS[STEPS.index(step) + 1] for event, step in WHEN.items()}
    table = events_of(pd.concat([run(), run(late, seed=1), run({}, seed=2)]))
    seeds, over = table[table["seed"].notna()], table[table["seed"].isna()].set_index("event")
    one, other = (seeds[seeds["seed"] == seed].set_index("event")["step"]["copying"] for seed in (0, 1))
    assert over["step"]["copying"] == pytest.approx(math.sqrt(one * other))
    half = 12.706 * abs(math.log(one / other)) / 2  # Student's t with one degree of freedom, of two points
    assert over["hi"]["copying"] == pytest.approx(math.sqrt(one * other) * math.exp(half), rel=1e-3)
    assert (over["n_seeds"] == 2).all()


def test_an_undefined_score_is_no_level():
    rows = run()
    gone = (rows["metric"] == "copying") & (rows["step"] == 0)
    rows.loc[gone, "value"] = np.nan
    found = events_of(rows).set_index("event")["step"]["copying"].iloc[0]
    assert 100 < found < 125


def test_the_table_is_as_declared(tmp_path):
    files = Paths([tmp_path / "emergence.parquet"])
    for checkpoint_scores in (pd.concat([run(), run({}, seed=1)]), run().iloc[:0]):
        write(EMERGENCE, events_of(checkpoint_scores).assign(confidence=0.95), files)


def test_too_few_checkpoints_show_nothing():
    assert emergence(run(), SMALLEST, 0.95, len(STEPS) + 1)["step"].isna().all()


def test_what_touches_came_before_and_what_overlaps_did_not():
    assert came_before(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])).tolist() == [True, True, False]


def test_the_geometric_mean_of_one_has_no_interval_and_of_none_no_value():
    mean, lo, hi = geometric_mean(pd.Series([4.0, 16.0]), 0.95)
    assert mean == pytest.approx(8)
    assert lo * hi == pytest.approx(64)
    assert geometric_mean(pd.Series([4.0]), 0.95)[0] == pytest.approx(4)
    assert all(map(math.isnan, (*geometric_mean(pd.Series([4.0]), 0.95)[1:], *geometric_mean(pd.Series([]), 0.95))))
