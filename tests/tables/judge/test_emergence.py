import math

import pytest
from made_up_rows import options

from pipeline.claims.emergence import EVENTS
from pipeline.tables.judge import emergence as declared
from pipeline.tables.judge.emergence import EMERGENCE, EMERGENCE_ORDER

EVENT = {"experiment": "base", "event": "copying", "confidence": 0.95}


def test_events_are_those_that_are_looked_for_and_each_is_explained():
    assert options(EMERGENCE, "event") == options(EMERGENCE_ORDER, "second") == set(EVENTS)
    assert [part.partition(": ")[0] for part in declared.EVENT.split("; ")] == list(EVENTS)


def test_over_seeds_stands_before_the_seeds(kept, refusal):
    """At 100 and 400 steps: 200 in the geometric mean. A third seed never sees it."""
    seeds = [EVENT | {"seed": seed, "step": step, "n_seeds": 1} for seed, step in ((1, 400.0), (0, 100.0))]
    never, over = EVENT | {"seed": 2, "n_seeds": 0}, EVENT | {"step": 200.0, "n_seeds": 2}
    rows = kept(EMERGENCE, *seeds, never, over)
    assert rows["seed"].isna().tolist() == [True, False, False, False]
    assert rows["step"].fillna(-1).tolist() == [200, 100, 400, -1]
    assert rows["step"][0] == pytest.approx(math.sqrt(rows["step"][1] * rows["step"][2]))
    assert refusal(EMERGENCE, never | {"rank": 0.5}) == "column rank: 0.5 is below 1"
    assert len(kept(EMERGENCE, over, over | {"event": "loss_drop"})) == 2
    assert "two rows share the key" in refusal(EMERGENCE, over, over)


def test_of_two_events_one_comes_first_in_a_share_of_those_that_are_sure(kept, refusal):
    """Of four seeds, two surely in this order, one in the other, and one unsure."""
    pair = {"experiment": "base", "first": "copying", "second": "loss_drop", "n_seeds": 4, "before": 2, "after": 1}
    row = kept(EMERGENCE_ORDER, pair | {"share": 2 / 3, "factor": 2.0, "confidence": 0.95}).iloc[0]
    assert row["before"] / (row["before"] + row["after"]) == row["share"]
    assert refusal(EMERGENCE_ORDER, pair | {"share": 1.5}) == "column share: 1.5 is above 1"
    assert len(kept(EMERGENCE_ORDER, pair, pair | {"second": "previous_token"})) == 2
    assert "two rows share the key" in refusal(EMERGENCE_ORDER, pair, pair)
