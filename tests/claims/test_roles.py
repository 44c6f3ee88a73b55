import numpy as np
import pandas as pd
import pytest
from known_heads import HALF, INDUCTION, NOTHING, tables
from scipy import stats

from pipeline.claims.roles import CRITERIA, certainty, head_roles, probability_above, probability_leads
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.head_roles import HEAD_ROLES

THRESHOLDS = {"attention": 0.5, "copying": 0.5, "significance": 0.05, "confidence": 0.95}


def roles(*heads, **options):
    return head_roles(tables(*heads, **options), **THRESHOLDS)


def role(**changes):
    return roles(changes)["role"].item()


def test_a_head_by_content_and_with_effect_is_an_induction_head():
    found = roles(INDUCTION)
    assert found["role"].item() == "induction"
    assert found["failed"].item() == found["unmeasured"].item() == ""
    for number in ("0.80", "0.90", "0.70", "0.60", "+0.50"):
        assert number in found["evidence"].item()


def test_a_head_that_matches_one_period_by_position_is_a_shortcut():
    shortcut = {"period_17": 1.0, "q": 0.001, "period_5": 0.01, "content": 0.05, "position": 0.9, "second_copy": 0.4}
    assert role(**shortcut) == "positional_shortcut"
    # Matching whatever the period, but not across random gaps, is going by distance too.
    assert role(**shortcut | {"period_5": 0.9}) == "positional_shortcut"
    # By content, it is not going by position; nor is it an induction head.
    assert role(**shortcut | {"content": 0.9, "position": 0.05}) == "none"


@pytest.mark.parametrize(
    ("failing", "criterion"),
    [
        ({"second_copy": 0.01, "novel": -0.5}, "causal"),
        ({"second_copy": 0.0, "novel": 0.0}, "causal, specific"),
        ({"second_copy": 0.5, "novel": 0.6}, "specific"),
        ({"content": 0.2, "position": 0.5}, "content"),
        ({"content": 0.45, "position": 0.43}, "content"),
    ],
)
def test_a_prefix_matcher_that_is_not_causal_or_goes_by_position_is_no_induction_head(failing, criterion):
    found = roles(INDUCTION | failing)
    assert found["role"].item() == "prefix_matching"
    assert found["failed"].item() == criterion
    assert f"fails: {criterion}" in found["evidence"].item()


def test_no_effect_at_all_is_no_effect():
    """Not even where nothing is left to chance."""
    found = roles(INDUCTION | {"second_copy": 0.0, "novel": 0.0}, half=0)
    assert found[["role", "failed"]].to_numpy().tolist() == [["prefix_matching", "causal, specific"]]


def test_attention_that_chance_explains_is_no_role():
    assert role(**INDUCTION | {"q": 0.2}) == "none"
    assert role(copying=0.9, copying_q=0.2) == "none"


@pytest.mark.parametrize("name", ["previous_token", "duplicate_token", "current_token", "first_token"])
def test_most_attention_in_one_place_is_a_role(name):
    assert role(**{name: 0.9}) == name
    assert role(**{name: 0.4}) == "none"
    assert role(**{name: 0.51}) == "none"  # its interval holds 0.5


def test_copying_is_the_role_of_heads_that_look_at_nothing_known():
    copies = {"copying": 0.9, "copying_q": 0.01}
    found = roles(copies, copies | {"previous_token": 0.9}, copies | INDUCTION)
    assert found["role"].tolist() == ["copying", "previous_token", "induction"]
    assert found["also"].tolist() == ["", "copying", "copying"]


@pytest.mark.parametrize(
    ("unknown", "criteria"),
    [
        (("second_copy", "novel"), "causal, specific"),
        (("position",), "content"),
        (("gap_8",), "jittered"),
        (("second_copy", "novel", "content", "position"), "content, causal, specific"),
    ],
)
def test_what_was_not_measured_is_said_and_never_assumed(unknown, criteria):
    found = roles(INDUCTION | dict.fromkeys(unknown))
    assert found["role"].item() == "prefix_matching"
    assert found["unmeasured"].item() == criteria
    assert "nan" not in found["evidence"].item()


def test_one_sentence_tells_nothing_for_certain():
    alone = tables(INDUCTION)
    alone["attention_terms"] = alone["attention_terms"].assign(lo=None, hi=None)
    found = head_roles(alone, **THRESHOLDS)
    assert found[["role", "unmeasured"]].to_numpy().tolist() == [["prefix_matching", "content"]]


def test_of_a_model_measured_by_weights_alone_only_copying_is_known():
    blank = {name: None for name in NOTHING if not name.startswith("copying") and name != "q"}
    found = roles(blank | {"copying": 0.9, "copying_q": 0.01}, blank)
    assert found["role"].tolist() == ["copying", "none"]
    assert found["certainty"].tolist() == [pytest.approx(0.99), 0]


def test_certainty_is_the_bound_on_all_criteria_together():
    margin = 0.03
    found = roles({"previous_token": 0.5 + margin}, INDUCTION, INDUCTION | {"period_5": 0.5 + margin})
    # HALF is the distance from the middle of a normal's 95 % interval to its end.
    likely = stats.norm.cdf(margin / (HALF / stats.norm.ppf(0.975)))
    np.testing.assert_allclose(found["certainty"], [likely, 1 - 0.001, likely - 0.001], atol=1e-9)
    assert roles({}, half=0)["certainty"].item() == 1


def test_a_head_of_no_role_that_may_have_one_is_said_with_less_certainty():
    # Half way between threshold and itself: as likely to attend to itself as not.
    found = roles({"current_token": 0.5}, {"current_token": 0.45})
    likely = stats.norm.cdf(-0.05 / (HALF / stats.norm.ppf(0.975)))
    np.testing.assert_allclose(found["certainty"], [0.5, 1 - likely], atol=1e-6)


def test_every_head_of_every_run_has_a_row_as_declared(tmp_path):
    found = roles(INDUCTION, {}, {"first_token": None}, seeds=(0, 3))
    assert found[["seed", "head"]].to_numpy().tolist() == [[seed, head] for seed in (0, 3) for head in range(3)]
    write(HEAD_ROLES, found.assign(confidence=0.95, significance=0.05), Paths([tmp_path / "head_roles.parquet"]))


def test_without_heads_there_are_no_rows():
    assert roles().empty


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_a_criterion_holds_if_the_whole_interval_lies_beyond_its_threshold(confidence):
    heads = tables({"previous_token": 0.5 + 1.01 * HALF}, {"previous_token": 0.5 + 0.99 * HALF})
    found = head_roles(heads, **THRESHOLDS | {"confidence": confidence})
    assert found["role"].tolist() == ["previous_token", "none"]


def test_what_is_significant_is_a_setting():
    wide = head_roles(tables({"copying": 0.9, "copying_q": 0.2}), **THRESHOLDS | {"significance": 0.2})
    assert wide["role"].item() == "copying"


def number(value, half):
    return pd.DataFrame({"value": [value], "lo": [value - half], "hi": [value + half]})


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_probabilities_are_those_of_normal_errors(confidence):
    """At the threshold one half; with the interval's end at it, all but the half of what lies outside."""
    assert probability_above(number(0.3, 0.1), 0.3, confidence).item() == pytest.approx(0.5)
    assert probability_above(number(0.4, 0.1), 0.3, confidence).item() == pytest.approx((1 + confidence) / 2)
    pair = number(0.5, 0.1), number(0.3, 0.1)
    assert probability_leads(*pair, confidence).item() == pytest.approx((1 + confidence) / 2)
    assert probability_leads(*pair[::-1], confidence).item() == pytest.approx((1 - confidence) / 2)


def test_a_certain_number_at_its_threshold_is_not_above_it():
    assert probability_above(number(0.3, 0.0), 0.3, 0.95).item() == 0
    assert probability_above(number(0.31, 0.0), 0.3, 0.95).item() == 1
    assert np.isnan(probability_above(number(0.3, np.nan), 0.1, 0.95).item())


def test_bounds_add_up_what_may_fail():
    likely = pd.Series({name: 1.0 for names in CRITERIA.values() for name in names} | {"matches": 0.9, "causal": 0.95})
    assert certainty("induction", likely) == pytest.approx(0.85)
    assert certainty("prefix_matching", likely) == pytest.approx(0.9)
    assert certainty("none", likely) == 0
