from made_up_rows import options

from pipeline.claims.measures import ROLES
from pipeline.tables.judge.effects import EFFECTS, INTERVALS

MEASURE = {"experiment": "base", "role": "induction", "metric": "induction", "definition": "mass", "n_seeds": 2}
SURE = {"eval_set": "repeated_tokens", "confidence": 0.95, "significance": 0.05}


def test_whose_measure_it_is_is_who_is_measured():
    for table in (INTERVALS, EFFECTS):
        assert options(table, "role") == {*ROLES, "pair", "model"}


def test_an_effect_is_a_difference_and_one_seed_tells_no_interval(kept, refusal):
    """0.25 with the change, 0.75 without; then the same of one seed, of which no p is known."""
    changed = MEASURE | SURE | {"against": "base", "value": 0.25, "base": 0.75, "difference": -0.5}
    sure = changed | {"experiment": "a", "lo": -0.6, "hi": -0.4, "p": 0.01, "q": 0.02, "paired": True}
    rows = kept(EFFECTS, changed | {"experiment": "b", "n_seeds": 1, "paired": False}, sure)
    assert (rows["value"] - rows["base"]).tolist() == rows["difference"].tolist()
    assert rows["q"].isna().tolist() == [False, True]
    for name in ("p", "q"):
        assert refusal(EFFECTS, sure | {name: 1.5}) == f"column {name}: 1.5 is above 1"
    assert len(kept(EFFECTS, sure, sure | {"eval_set": "text"})) == 2
    assert "two rows share the key" in refusal(EFFECTS, sure, sure)


def test_an_interval_is_over_a_seed_or_more(kept, refusal):
    measured = MEASURE | SURE
    del measured["significance"]
    assert kept(INTERVALS, measured | {"value": 0.5, "lo": 0.25, "hi": 0.75})["hi"].tolist() == [0.75]
    assert refusal(INTERVALS, measured | {"n_seeds": 0}) == "column n_seeds: 0 is below 1"
    assert len(kept(INTERVALS, *(measured | {"value": 0.5, "eval_set": name} for name in ("text", "demo")))) == 2
    assert "two rows share the key" in refusal(INTERVALS, measured, measured)
