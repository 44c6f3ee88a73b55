import math

import numpy as np
import pandas as pd
import pytest
from trained_runs import SMALLEST, STEPS, WHEN, events_of, run

from pipeline.claims.change_points import change_point, reach
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


def mean_of(*values):
    """Of values read off without any rounding."""
    return geometric_mean(pd.Series(values, dtype=float), 0.95, *np.zeros((2, 1, len(values))))


def test_the_geometric_mean_of_one_has_no_interval_and_of_none_no_value():
    mean, lo, hi = mean_of(4.0, 16.0)
    assert mean == pytest.approx(8)
    assert lo * hi == pytest.approx(64)
    assert hi == pytest.approx(8 * math.exp(12.706 * math.log(2)), rel=1e-3)  # Student's t with one degree of freedom
    assert mean_of(4.0)[0] == pytest.approx(4)
    assert all(map(math.isnan, (*mean_of(4.0)[1:], *mean_of())))


def test_runs_that_agree_are_known_no_better_than_their_checkpoints():
    together = events_of(pd.concat([run(seed=seed) for seed in range(5)]))
    seeds, over = together[together["seed"] == 0].set_index("event"), together[together["seed"].isna()]
    for event, row in over.set_index("event").iterrows():
        ends = seeds.loc[event, ["checkpoint_before", "checkpoint_after"]].to_list()
        assert ends == pytest.approx([STEPS[STEPS.index(WHEN[event]) - 1], WHEN[event]])
        for end, checkpoint in zip((row["lo"], row["hi"]), ends, strict=True):
            assert math.log(end / row["step"]) == pytest.approx(0.95 * math.log(checkpoint / row["step"]))


GRID = np.array([0, *(10 * 1.25 ** np.arange(40)).round()])
STUDIES = 300


@pytest.fixture(scope="module")
def seen():
    """What `change_point` makes of a sudden change between each two checkpoints: step and checkpoints."""
    found = [change_point(GRID, (np.arange(len(GRID)) > place).astype(float), 0.95, 6) for place in range(1, 40)]
    return np.array([[change.step, change.checkpoint_before, change.checkpoint_after] for change in found])


def observed(seen, true_steps):
    """What is seen of each run's change: steps, and how far they reach [side, run]."""
    rows = seen[np.searchsorted(GRID, true_steps) - 2]
    return rows[:, 0], reach(*rows.T)


@pytest.mark.parametrize("spread", [0.2, 1.0, 3.0])
def test_two_runs_that_share_a_checkpoint_have_no_interval_and_others_one_that_holds_the_truth(seen, spread):
    random, held, differ = np.random.default_rng(1), 0, 0
    for place in (np.arange(STUDIES) + 0.5) / STUDIES:
        truth = GRID[18] * (GRID[19] / GRID[18]) ** place
        steps, (below, above) = observed(seen, truth * 1.25 ** (spread * random.normal(size=2)))
        _, lo, hi = geometric_mean(pd.Series(steps), 0.95, below[None], above[None])
        assert math.isnan(lo) == (steps[0] == steps[1])
        differ += steps[0] != steps[1]
        held += lo <= truth <= hi
    assert held / differ > 0.95


@pytest.mark.parametrize("runs", [3, 8])
@pytest.mark.parametrize("spread", [0.0, 0.2, 1.0, 3.0])  # standard deviation of seeds, in distances of checkpoints
def test_the_interval_over_seeds_holds_the_truth_as_often_as_it_says(seen, runs, spread):
    """The truth is anywhere between two checkpoints; 0.92 is 0.95 less 2.4 standard errors of a share of 300."""
    random, held, alone = np.random.default_rng(1), 0, 0
    for place in (np.arange(STUDIES) + 0.5) / STUDIES:
        truth = GRID[18] * (GRID[19] / GRID[18]) ** place
        steps, (below, above) = observed(seen, truth * 1.25 ** (spread * random.normal(size=runs)))
        _, lo, hi = geometric_mean(pd.Series(steps), 0.95, below[None], above[None])
        held += lo <= truth <= hi
        if not spread:
            _, lo, hi = mean_of(*steps)
            alone += lo <= truth <= hi
    assert held / STUDIES > 0.92
    assert held / STUDIES < (0.99 if spread != 0.2 else 1.01)  # nearly always, in between: see `geometric_mean`
    assert alone == 0  # Student's t alone takes rounded steps for known ones


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_so_does_that_of_a_factor_between_two_events(seen, spread):
    random, held = np.random.default_rng(2), 0
    for _ in range(STUDIES):
        truths = 380 * 1.25 ** random.uniform(0, 4, size=2)
        first, second = (observed(seen, truth * 1.25 ** (spread * random.normal(size=3))) for truth in truths)
        below, above = np.stack([second[1][0], first[1][1]]), np.stack([second[1][1], first[1][0]])
        _, lo, hi = geometric_mean(pd.Series(second[0] / first[0]), 0.95, below, above)
        held += lo <= truths[1] / truths[0] <= hi
    assert held / STUDIES > 0.92
