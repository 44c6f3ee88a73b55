from made_up_rows import options

from pipeline.circuits.causes.coverage import ROLES
from pipeline.tables.cover import ROLE_COVERAGE, share

HEAD = {"layer": 0, "head": 1, "eval_set": "text", "confidence": 0.95, "n": 4, "effect": 0.2, "mass": 0.5}


def test_roles_are_those_that_are_measured():
    assert options(ROLE_COVERAGE, "role") == set(ROLES)


def test_a_head_may_have_several_roles_and_one_may_mislead(kept, refusal):
    """Of 0.2 nats one role leaves 0.05, another makes them 0.3, and a third was not measured."""
    previous = HEAD | {"role": "previous_token", "share": 1 - 0.05 / 0.2, "lo": 0.7, "hi": 0.8}
    copying = HEAD | {"role": "copying", "share": 1 - 0.3 / 0.2, "chance": -3.0}
    unknown = HEAD | {"role": "first_token", "mass": None, "effect": None, "n": 0}
    rows = kept(ROLE_COVERAGE, previous, copying, unknown).set_index("role")
    assert rows["share"].dropna().round(9).to_dict() == {"copying": -0.5, "previous_token": 0.75}
    assert rows["share"].isna()["first_token"]
    assert "two rows share the key" in refusal(ROLE_COVERAGE, previous, previous)


def test_no_share_is_more_than_all(refusal):
    for name in ("share", "chance", "chance_hi"):
        said = refusal(ROLE_COVERAGE, HEAD | {"role": "copying", name: 1.5})
        assert said == f"column {name}: 1.5 is above 1"


def test_a_column_of_shares_is_null_where_there_is_none():
    column = share("chance", "of random edges")
    assert (column.nullable, column.low, column.high) == (True, None, 1)
    assert column.meaning == "of random edges; null where `share` is"
