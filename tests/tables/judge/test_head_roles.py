from known_heads import INDUCTION, tables
from made_up_rows import options

from pipeline.claims.roles import CRITERIA, head_roles
from pipeline.tables.judge.head_roles import HEAD_ROLES, number

HEAD = {"experiment": "base", "seed": 0, "layer": 1, "head": 0, "confidence": 0.95, "significance": 0.05}


def test_a_number_that_roles_rest_on_may_be_missing():
    column = number("prefix_worst", "probability", "mass on the worst period", 0, 1)
    assert (column.name, column.type, column.unit) == ("prefix_worst", "float64", "probability")
    assert (column.low, column.high, column.nullable) == (0, 1, True)
    assert column.meaning == "mass on the worst period; null if not measured"
    assert (number("novel", "nats", "loss").low, number("novel", "nats", "loss").high) == (None, None)


def test_roles_are_those_that_have_criteria_in_their_order_or_none():
    (role,) = (column for column in HEAD_ROLES.columns if column.name == "role")
    assert role.options == (*CRITERIA, "none")
    assert options(HEAD_ROLES, "role") == {*CRITERIA, "none"}


def test_heads_that_are_known_are_kept_as_what_they_are(kept):
    """An induction head, one that looks one back, and one that was never measured on text."""
    heads = tables(INDUCTION, {"previous_token": 0.9}, {"previous_token": None, "first_token": None})
    least = {"attention": 0.5, "position": 0.5, "copying": 0.5, "suppression": 0.5, "relation": 0.5, "inactive": 0.9}
    roles = head_roles(heads, significance=0.05, confidence=0.95, **least)
    rows = kept(HEAD_ROLES, *roles.assign(confidence=0.95, significance=0.05).to_dict("records"))
    assert rows["role"].tolist() == ["induction", "previous_token", "none"]
    assert rows["previous_token"].fillna(-1).tolist()[1:] == [0.9, -1]
    assert rows["prefix_worst"][0] == 0.8


def test_a_certainty_and_a_probability_lie_between_0_and_1_and_a_loss_anywhere(kept, refusal):
    assert kept(HEAD_ROLES, HEAD | {"repeated": -2.0, "content": -0.5})["repeated"].tolist() == [-2]
    for name in ("certainty", "previous_token", "prefix_worst", "jittered"):
        assert refusal(HEAD_ROLES, HEAD | {name: 1.5}) == f"column {name}: 1.5 is above 1"
    assert refusal(HEAD_ROLES, HEAD | {"copying": -1.5}) == "column copying: -1.5 is below -1"
    assert "two rows share the key" in refusal(HEAD_ROLES, HEAD, HEAD)
