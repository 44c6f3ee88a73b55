import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.claims.roles import head_roles
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.head_roles import HEAD_ROLES

THRESHOLDS = {"attention": 0.5, "copying": 0.5, "significant": 0.05}
# What is known of a head that does nothing; a test says what is different about its heads.
NOTHING = {
    **dict.fromkeys(("previous_token", "current_token", "first_token", "duplicate_token"), 0.1),
    **{"copying": 0.0, "copying_q": 0.8, "period_17": 0.02, "period_5": 0.03, "q": 0.9, "gap_0": 0.9, "gap_8": 0.02},
    **{"content": 0.4, "position": 0.3, "second_copy": 0.0, "novel": 0.0},
}
INDUCTION = {
    **{"period_17": 0.9, "period_5": 0.8, "q": 0.001, "gap_8": 0.7, "content": 0.6, "position": 0.1},
    **{"second_copy": 0.5, "novel": 0.1},
}
HALF = 0.02  # half the length of every interval


def tables(*heads, half=HALF, seeds=(0,)):
    """The tables of runs whose heads are all in layer 1, each NOTHING but for what is given; None is not measured."""
    rows = {"head_scores": [], "challenge_scores": [], "attention_terms": [], "ablations": []}

    def add(table, value, **names):
        if value is not None:
            rows[table].append({**names, "value": value, "lo": value - half, "hi": value + half})

    for head, changes in enumerate(heads):
        known, who = NOTHING | changes, {"layer": 1, "head": head}
        for name in ("previous_token", "current_token", "first_token"):
            add("head_scores", known[name], **who, metric=name, definition="mean", eval_set="text")
        repeated = {"eval_set": "repeated_tokens", "period": 17}
        add("head_scores", known["duplicate_token"], **who, metric="duplicate_token", definition="mass", **repeated)
        matching = {"metric": "induction", "definition": "mass"}
        add("head_scores", known["period_17"], **who, **matching, **repeated, q=known["q"])
        eigenvalue = {"metric": "copying", "definition": "eigenvalue", "eval_set": "weights"}
        add("head_scores", known["copying"], **who, **eigenvalue, q=known["copying_q"])
        add("challenge_scores", known["period_5"], **who, **matching, challenge="period", level=5)
        for level in (0, 8):
            add("challenge_scores", known[f"gap_{level}"], **who, **matching, challenge="gap", level=level)
        for name, source in (("content", "stream"), ("position", "position")):
            pair = {"query_source": source, "key_source": source}
            add("attention_terms", known[name], **who, **pair, statistic="share", component="all")
        for name in ("second_copy", "novel"):
            removed = {"method": "zero", "eval_set": "repeated_text", "token_class": name}
            add("ablations", known[name], **who, **removed, difference=known[name])
    add("challenge_scores", 3.0, layer=None, head=None, metric="loss", definition="novel", challenge="period", level=5)
    columns = {
        "head_scores": ["metric", "definition", "eval_set", "period", "q"],
        "challenge_scores": ["metric", "definition", "challenge", "level"],
        "attention_terms": ["statistic", "component", "query_source", "key_source"],
        "ablations": ["method", "eval_set", "token_class", "difference"],
    }
    frames = {
        name: pd.DataFrame(rows[name], columns=["layer", "head", "value", "lo", "hi", *more])
        for name, more in columns.items()
    }
    # An ablation's own number is its difference; its table has no column `value`.
    frames["ablations"] = frames["ablations"].drop(columns="value")
    return {
        name: pd.concat([frame.assign(experiment="base", seed=seed) for seed in seeds], ignore_index=True)
        for name, frame in frames.items()
    }


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
    assert found["confidence"].tolist() == [pytest.approx(0.99), 0]


def test_confidence_is_the_bound_on_all_criteria_together():
    margin = 0.03
    found = roles({"previous_token": 0.5 + margin}, INDUCTION, INDUCTION | {"period_5": 0.5 + margin})
    # HALF is the distance from the middle of a normal's 95 % interval to its end.
    likely = stats.norm.cdf(margin / (HALF / stats.norm.ppf(0.975)))
    np.testing.assert_allclose(found["confidence"], [likely, 1 - 0.001, likely - 0.001], atol=1e-9)
    assert roles({}, half=0)["confidence"].item() == 1


def test_a_head_of_no_role_that_may_have_one_is_said_with_less_confidence():
    # Half way between threshold and itself: as likely to attend to itself as not.
    found = roles({"current_token": 0.5}, {"current_token": 0.45})
    likely = stats.norm.cdf(-0.05 / (HALF / stats.norm.ppf(0.975)))
    np.testing.assert_allclose(found["confidence"], [0.5, 1 - likely], atol=1e-6)


def test_every_head_of_every_run_has_a_row_as_declared(tmp_path):
    found = roles(INDUCTION, {}, {"first_token": None}, seeds=(0, 3))
    assert found[["seed", "head"]].to_numpy().tolist() == [[seed, head] for seed in (0, 3) for head in range(3)]
    write(HEAD_ROLES, found, Paths([tmp_path / "head_roles.parquet"]))


def test_without_heads_there_are_no_rows():
    assert roles().empty
