import pytest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"min_value": {"OV": None, "QK": 2.0}, "max_value": {"OV": None, "QK": 2.0}},
            "project: min_value.QK 2.0 is not below max_value.QK 2.0",
            id="empty range",
        ),
        pytest.param({"filters": ["only_ascii"] * 2}, "is there twice", id="a filter twice"),
        pytest.param({"parts": 3, "part": 3}, "project: part 3: there are 3 parts, counted from 0", id="no such part"),
        pytest.param({"min_share": 1.0}, "project.min_share=1.0: input should be less than 1", id="share of all"),
        pytest.param({"tile_mb": 0.0}, "project.tile_mb=0.0: input should be greater", id="no tile"),
        pytest.param({"filters": ["only_asci"]}, "project.filters.0=only_asci: ", id="no such filter"),
    ],
)
def test_what_leaves_nothing_to_list_is_refused(refusal, changes, message):
    assert message in refusal("project", **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"parts": 3, "part": 2},
        {"parts": 3},  # null: all
        {"dimensions": 0, "neurons": 0, "directions": 0},  # pairs alone
        {"dimensions": None, "neurons": None},  # all
        {"filters": ["exclude_same", "only_ascii"]},
    ],
    ids=str,
)
def test_what_leaves_something_is_taken_as_it_is(accepted, changes):
    settings = accepted("project", **changes)
    assert {name: getattr(settings, name) for name in changes} == {
        name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()
    }


@pytest.mark.parametrize("name", ["pairs", "unit_tokens", "stem_length", "edit_length", "parts"])
def test_a_list_is_of_one_at_least(accepted, refusal, name):
    assert getattr(accepted("project", **{name: 1}), name) == 1
    assert refusal("project", **{name: 0}).startswith(f"project.{name}=0: input should be greater than or equal to 1")


@pytest.mark.parametrize(
    "limits", [{"min_value": 2.0}, {"max_value": -2.0}, {"min_value": -1.0, "max_value": 2.0}], ids=str
)
def test_one_limit_of_one_circuit_needs_no_other(accepted, limits):
    settings = accepted("project", **{name: {"OV": None, "QK": limit} for name, limit in limits.items()})
    assert {name: getattr(settings, name).QK for name in limits} == limits
