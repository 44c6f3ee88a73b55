import math

import numpy as np
import pandas as pd
import pytest

from pipeline.claims.emergence import EVENTS, curves, emergence
from pipeline.claims.order import emergence_order
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.emergence import EMERGENCE, EMERGENCE_ORDER
from pipeline.tables.judge.emergence import EVENTS as DECLARED

STEPS = [0, 100, 125, 156, 195, 244, 305, 381, 477, 596, 745]
SMALLEST = dict.fromkeys(EVENTS, 0.3)
WHEN = {"copying": 125, "previous_token": 195, "k_composition": 305, "prefix_matching": 477, "loss_drop": 477}


def run(when=WHEN, seed=0, experiment="base"):
    """A run in which each event happens at once at its step; an event that is left out never does.

    Head 0.1 is the previous-token head, 1.2 the induction head; 1.0 led both before the end.
    """
    previous, worst, keys = (
        ("previous_token", "mean", "text", None),
        ("mass", "repeated_tokens"),
        ("K_composition", "frobenius"),
    )
    copying, nobody = ("copying", "eigenvalue", "weights", None), (None,) * 4
    rows = []
    for step in STEPS:
        done = {event: float(step >= when.get(event, math.inf)) for event in EVENTS}
        early = 0.5 if step < STEPS[-1] else 0.0
        rows += [
            (step, 0, 0, None, None, *previous, 0.05, 0.03),
            (step, 0, 1, None, None, *previous, 0.1 + 0.8 * done["previous_token"], 0.03),
            (step, 1, 0, None, None, *previous, 0.95, 0.03),
            (step, 1, 0, None, None, "induction", *worst, 37, early, 0.02),
            (step, 1, 0, None, None, "induction", *worst, 53, early, 0.02),
            (step, 1, 2, None, None, "induction", *worst, 37, 1.0, 0.02),
            (step, 1, 2, None, None, "induction", *worst, 53, 0.01 + 0.8 * done["prefix_matching"], 0.02),
            (step, 1, 0, None, None, *copying, -0.5, 0.0),
            (step, 1, 2, None, None, *copying, done["copying"], 0.0),
            (step, 1, 2, 0, 1, *keys, "weights", None, 0.06 + 0.06 * done["k_composition"], 0.06),
            (step, 1, 2, 0, 0, *keys, "weights", None, 0.5, 0.06),
            (step, *nobody, "loss", "first_copy", "repeated_text", None, 3.0, None),
            (step, *nobody, "loss", "second_copy", "repeated_text", None, 3.0 - 2.0 * done["loss_drop"], None),
            (step, *nobody, "loss", "other", "text", None, 4.0, None),
        ]
    names = ["step", "layer", "head", "src_layer", "src_head", "metric", "definition", "eval_set", "period"]
    frame = pd.DataFrame(rows, columns=[*names, "value", "chance"])
    return frame.astype(dict.fromkeys(["layer", "head", "src_layer", "src_head", "period"], "Int64")).assign(
        experiment=experiment, seed=seed
    )


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
    table = emergence(run(), SMALLEST, 0.95)
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
    table = emergence(run(without), SMALLEST | {"copying": 1.1}, 0.95)
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
    assert emergence(both, SMALLEST, 0.95).query("event == 'k_composition'")["step"].isna().all()


def test_over_seeds_steps_average_in_the_logarithm():
    late = {event: STEPS[STEPS.index(step) + 1] for event, step in WHEN.items()}
    table = emergence(pd.concat([run(), run(late, seed=1), run({}, seed=2)]), SMALLEST, 0.95)
    seeds, over = table[table["seed"].notna()], table[table["seed"].isna()].set_index("event")
    one, other = (seeds[seeds["seed"] == seed].set_index("event")["step"]["copying"] for seed in (0, 1))
    assert over["step"]["copying"] == pytest.approx(math.sqrt(one * other))
    half = 12.706 * abs(math.log(one / other)) / 2  # Student's t with one degree of freedom, of two points
    assert over["hi"]["copying"] == pytest.approx(math.sqrt(one * other) * math.exp(half), rel=1e-3)
    assert (over["n_seeds"] == 2).all()


def test_order_counts_only_runs_that_tell_the_events_apart():
    swapped = WHEN | {"copying": 596}
    table = emergence(pd.concat([run(), run(seed=1), run(swapped, seed=2)]), SMALLEST, 0.95)
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


def test_the_tables_are_as_declared(tmp_path):
    files = Paths([tmp_path / "emergence.parquet", tmp_path / "emergence_order.parquet"])
    for checkpoint_scores in (pd.concat([run(), run({}, seed=1)]), run().iloc[:0]):
        table = emergence(checkpoint_scores, SMALLEST, 0.95)
        write(EMERGENCE, table, files)
        write(EMERGENCE_ORDER, emergence_order(table, 0.95), files)
    assert DECLARED == EVENTS


def test_an_undefined_score_is_no_level():
    rows = run()
    gone = (rows["metric"] == "copying") & (rows["step"] == 0)
    rows.loc[gone, "value"] = np.nan
    found = emergence(rows, SMALLEST, 0.95).set_index("event")["step"]["copying"].iloc[0]
    assert 100 < found < 125
