import numpy as np
import pandas as pd
import pytest
from known_heads import FUZZY_CHANCE, HALF, INDUCTION, NOTHING, tables
from scipy import stats

from pipeline.claims.keys import HEAD
from pipeline.claims.role_numbers import role_numbers
from pipeline.claims.roles import (
    CRITERIA,
    certainty,
    criteria,
    head_roles,
    probability_above,
    probability_leads,
    states,
)
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.head_roles import HEAD_ROLES

LEAST = {"attention": 0.5, "position": 0.5, "copying": 0.5, "suppression": 0.5, "relation": 0.5, "inactive": 0.9}
THRESHOLDS = LEAST | {"significance": 0.05, "confidence": 0.95}


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
def test_what_was_not_measured_is_said_beside_the_role(unknown, criteria):
    found = roles(INDUCTION | dict.fromkeys(unknown))
    assert found["role"].item() == "induction"
    assert found["named"].item() == f"induction (not measured: {criteria})"
    assert found["unmeasured"].item() == criteria
    assert found["failed"].item() == ""
    assert f"not measured: {criteria}" in found["evidence"].item()
    assert "nan" not in found["evidence"].item()
    # What was measured is as sure as it is: here only the q of 0.001 leaves anything open.
    assert found["certainty"].item() == pytest.approx(1 - 0.001, abs=1e-6)


def test_a_perfect_head_that_was_not_ablated_is_an_induction_head_of_which_that_is_not_known():
    found = roles(
        INDUCTION | {"period_17": 1.0, "second_copy": None, "novel": None}, INDUCTION, {"previous_token": 0.9}
    )
    assert found["role"].tolist() == ["induction", "induction", "previous_token"]
    assert found["named"].tolist() == ["induction (not measured: causal, specific)", "induction", "previous_token"]
    assert found["unmeasured"].tolist() == ["causal, specific", "", ""]


def test_one_criterion_that_fails_is_enough_whatever_was_not_measured():
    found = roles(INDUCTION | {"second_copy": None, "novel": None, "gap_8": 0.1})
    assert found[["role", "unmeasured", "failed"]].to_numpy().tolist() == [["prefix_matching", "", "jittered"]]


def test_what_makes_a_role_what_it_is_must_be_measured():
    unseen = INDUCTION | {"period_17": None, "period_5": None, "second_copy": None}
    assert roles(unseen)["role"].item() == "none"
    shortcut = {"period_17": 1.0, "q": 0.001, "period_5": 0.01, "content": 0.05, "position": 0.9}
    assert role(**shortcut) == "positional_shortcut"
    assert role(**shortcut | {"position": None}) == "none"
    assert roles({"copying": 0.9, "copying_q": None})["named"].item() == "copying (not measured: copying_significant)"


def test_a_head_that_shuns_its_own_tokens_and_lowers_what_it_attends_to_suppresses_copies():
    anticopy = {"copy_suppression": 0.8, "suppression_q": 0.01, "direct_copying": -0.3}
    found = roles(anticopy, anticopy | {"direct_copying": 0.3}, anticopy | {"direct_copying": None})
    assert found["role"].tolist() == ["copy_suppression", "none", "copy_suppression"]
    assert (
        found["evidence"][0] == "0.80 of tokens among the ten smallest of their own row; attended tokens' logits -0.30"
    )
    assert found["named"][2] == "copy_suppression (not measured: lowers)"


def test_a_head_that_goes_by_position_wherever_that_leads_is_positional():
    found = roles({"position": 0.9, "content": 0.05}, {"position": 0.6, "content": 0.7}, {"position": 0.9} | INDUCTION)
    assert found["role"].tolist() == ["positional", "none", "induction"]
    assert found["evidence"][0] == "position explains 0.90 of its scores' variance; attention goes 3.0 tokens back"
    assert role(position=0.9, content=0.05, previous_token=0.9) == "previous_token"


def test_attention_to_what_followed_near_tokens_must_be_mostly_more_than_chance():
    """By chance it is 0.02: twice that, and the half width of the interval, is the least."""
    fuzzy = {"fuzzy_induction": 2 * FUZZY_CHANCE + 1.01 * HALF, "fuzzy_q": 0.01}
    found = roles(fuzzy, fuzzy | {"fuzzy_induction": 2 * FUZZY_CHANCE + 0.99 * HALF}, fuzzy | {"fuzzy_q": 0.2})
    assert found["role"].tolist() == ["fuzzy_induction", "none", "none"]
    assert found["evidence"][0] == "attention 0.060 to what followed near tokens, by chance 0.020"
    assert roles(INDUCTION | fuzzy)["also"].item() == "fuzzy_induction"


def test_a_successor_head_knows_most_of_a_relation_and_more_than_of_the_best_of_several_it_would_by_chance():
    """Of two relations that were measured, q counts twice."""
    found = roles(
        {"days": 0.6, "days_q": 0.02, "months": 0.4, "months_q": 0.04},
        {"days": 0.6, "days_q": 0.03},
        {"days": 0.4, "days_q": 0.01},
        {"capitals": 0.6, "capitals_q": 0.04},
    )
    assert found["role"].tolist() == ["successor", "none", "none", "relation"]
    assert found["relations"].tolist() == ["days 0.60, months 0.40", "days 0.60", "days 0.40", "capitals 0.60"]
    assert found["evidence"][0] == "knows of pairs of words: days 0.60, months 0.40"
    assert found["successor"].tolist() == [0.6, 0.6, 0.4, 0.1]


def test_what_a_model_has_no_words_for_it_does_not_know():
    """That differs from a relation nobody asked for."""
    known = tables({})
    relations = known["head_scores"]["metric"] == "relation"
    wordless = known["head_scores"].assign(value=lambda rows: rows["value"].mask(relations))
    wordless["q"] = wordless["q"].mask(relations)
    said = [
        head_roles(known | {"head_scores": scores}, **THRESHOLDS)["unmeasured"].item()
        for scores in (wordless, known["head_scores"][~relations])
    ]
    assert "relation" not in said[0]
    assert "successor_significant, knows_pairs, relation_significant" in said[1]


def test_a_head_that_raises_what_it_chooses_to_look_at_copies_it():
    found = roles({"chosen_copying": 0.3, "chosen_q": 0.01}, {"chosen_copying": 0.01, "chosen_q": 0.01})
    assert found["role"].tolist() == ["direct_copying", "none"]
    assert found["evidence"][0] == "logits of the tokens that it chooses to look at +0.300"


def test_a_head_that_writes_next_to_nothing_is_inactive_whatever_else_it_looks_like():
    found = roles({"inactive": 0.97}, {"inactive": 0.97, "first_token": 0.9}, {"inactive": 0.5})
    assert found["role"].tolist() == ["inactive", "first_token", "none"]
    assert found["also"].tolist() == ["", "inactive", ""]
    assert found["evidence"][0] == "writes 0.03 of its layer's mean"


def test_of_a_head_without_a_role_what_could_still_give_it_one_is_said():
    found = roles({}, {"first_token": None}, {"period_17": None, "period_5": None, "q": None})
    assert found["role"].tolist() == ["none"] * 3
    # Of the last, induction fails anyway, not being causal; prefix matching may hold.
    assert found["unmeasured"].tolist() == ["", "first_token", "matches, significant"]
    assert found["named"].tolist()[:2] == ["none", "none (not measured: first_token)"]
    assert found["certainty"].tolist() == pytest.approx([1, 0, 0], abs=1e-6)


VALUES = {  # of each criterion: numbers by which it holds, fails, and is not measured
    "matches": ({}, {"period_5": 0.2}, {"period_17": None, "period_5": None}),
    "significant": ({}, {"q": 0.3}, {"q": None}),
    "jittered": ({}, {"gap_8": 0.2}, {"gap_8": None}),
    "content": ({}, {"content": 0.1, "position": 0.6}, {"content": None}),
    "causal": ({}, {"second_copy": 0.0, "novel": -1.0}, {"second_copy": None}),
    "specific": ({}, {"novel": 0.9}, {"novel": None}),
    "matches_some_period": ({}, {"period_17": 0.2, "period_5": 0.2}, {"period_17": None, "period_5": None}),
    "fails_elsewhere": ({"period_5": 0.1}, {}, {"period_17": None, "period_5": None, "gap_8": None}),
    "by_position": ({"content": 0.1, "position": 0.6}, {}, {"position": None}),
    "previous_token": ({"previous_token": 0.8}, {}, {"previous_token": None}),
    "duplicate_token": ({"duplicate_token": 0.8}, {}, {"duplicate_token": None}),
    "current_token": ({"current_token": 0.8}, {}, {"current_token": None}),
    "first_token": ({"first_token": 0.8}, {}, {"first_token": None}),
    "copying": ({"copying": 0.8}, {}, {"copying": None}),
    "copying_significant": ({"copying_q": 0.01}, {}, {"copying_q": None}),
    "suppresses": ({"copy_suppression": 0.8}, {}, {"copy_suppression": None}),
    "suppression_significant": ({"suppression_q": 0.01}, {}, {"suppression_q": None}),
    "lowers": ({"direct_copying": -0.3}, {}, {"direct_copying": None}),
    "mostly_position": ({"position": 0.6}, {}, {"position": None}),
    "fuzzy": ({"fuzzy_induction": 0.07}, {}, {"fuzzy_induction": None}),
    "fuzzy_significant": ({"fuzzy_q": 0.01}, {}, {"fuzzy_q": None}),
    "knows_next": ({"days": 0.6}, {}, {"days": None, "months": None}),
    "successor_significant": ({"days_q": 0.01}, {}, {"days": None, "months": None}),
    "knows_pairs": ({"capitals": 0.6}, {}, {"capitals": None}),
    "relation_significant": ({"capitals_q": 0.01}, {}, {"capitals": None}),
    "raises": ({"chosen_copying": 0.3}, {}, {"chosen_copying": None}),
    "raises_significant": ({"chosen_q": 0.01}, {}, {"chosen_q": None}),
    "inactive": ({"inactive": 0.97}, {}, {"inactive": None}),
}


def test_every_criterion_has_three_values():
    assert set(VALUES) == {name for names in CRITERIA.values() for name in names}


@pytest.mark.parametrize("criterion", VALUES)
def test_a_criterion_holds_fails_or_was_not_measured(criterion):
    numbers = role_numbers(tables(*(INDUCTION | changes for changes in VALUES[criterion])))
    heads = pd.MultiIndex.from_product([["base"], [0], [1], [0, 1, 2]], names=HEAD)
    numbers = {name: rows.reindex(heads) for name, rows in numbers.items()}
    likely = criteria(numbers, LEAST, 0.05, 0.95)
    assert states(likely, 0.05, 0.95)[criterion].tolist() == ["holds", "fails", "not measured"]


def test_one_sentence_tells_nothing_for_certain():
    alone = tables(INDUCTION)
    alone["attention_terms"] = alone["attention_terms"].assign(lo=None, hi=None)
    found = head_roles(alone, **THRESHOLDS)
    assert found[["role", "unmeasured"]].to_numpy().tolist() == [["induction", "content"]]


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
