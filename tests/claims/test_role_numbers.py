import numpy as np
import pandas as pd
import pytest
from known_heads import HALF, INDUCTION, NOTHING, tables

from pipeline.claims.keys import HEAD
from pipeline.claims.role_numbers import role_numbers


def test_every_number_is_that_of_its_head():
    numbers = role_numbers(tables(INDUCTION, {}))
    known = [NOTHING | INDUCTION, NOTHING]
    for number, name in {
        **{name: name for name in ("previous_token", "current_token", "first_token", "duplicate_token", "copying")},
        **{"jittered": "gap_8", "content": "content", "position": "position"},
        **{"repeated": "second_copy", "novel": "novel"},
    }.items():
        assert numbers[number].index.names == HEAD
        np.testing.assert_allclose(numbers[number]["value"], [head[name] for head in known])
        np.testing.assert_allclose(numbers[number]["hi"] - numbers[number]["value"], HALF)


def test_prefix_matching_has_a_worst_and_a_best_period_and_its_least_sure_q():
    numbers = role_numbers(tables({"period_17": 0.9, "period_5": 0.8, "q": 0.01}, {"period_17": 0.2, "period_5": 0.3}))
    assert numbers["prefix_worst"]["value"].tolist() == [0.8, 0.2]
    assert numbers["prefix_best"]["value"].tolist() == [0.9, 0.3]
    assert numbers["prefix_null"]["q"].tolist() == [0.01, NOTHING["q"]]


def test_without_gaps_nothing_is_random():
    """Level 0 of the gaps has none: it is no test of gaps, however much lower it is."""
    assert role_numbers(tables({"gap_0": 0.0, "gap_8": 0.5}))["jittered"]["value"].tolist() == [0.5]


@pytest.mark.parametrize("name", ["content", "previous_token", "gap_8"])
def test_what_was_not_measured_has_no_row(name):
    number = {"gap_8": "jittered"}.get(name, name)
    heads = role_numbers(tables({name: None}, {}))[number]
    assert heads.index.get_level_values("head").tolist() == [1]


def test_shares_are_those_over_keys_other_than_begin_where_there_are_such():
    known = tables({"content": 0.4, "position": 0.3}, {"content": 0.2, "position": 0.1})
    terms = known["attention_terms"]
    elsewhere = terms.assign(keys="no_begin", value=terms["value"] + 0.05)
    both = role_numbers(known | {"attention_terms": pd.concat([terms, elsewhere])})
    assert both["content"]["value"].tolist() == pytest.approx([0.45, 0.25])
    assert both["position"]["value"].tolist() == pytest.approx([0.35, 0.15])


def with_distance(known, share):
    terms = known["attention_terms"]
    total = terms.drop_duplicates(HEAD).assign(query_source="total", key_source="total", statistic="distance_share")
    total = total.assign(value=share, lo=share - HALF, hi=share + HALF)
    return known | {"attention_terms": pd.concat([terms, total])}


@pytest.mark.parametrize(("share", "position"), [(0.2, 0.3), (0.5, 0.5)])
def test_position_is_at_least_what_the_distance_explains(share, position):
    numbers = role_numbers(with_distance(tables({"content": 0.4, "position": 0.3}), share))
    assert numbers["position"]["value"].tolist() == [position]
    assert numbers["content"]["value"].tolist() == [0.4]


def test_where_positions_are_no_terms_the_distance_tells_content_from_position():
    """A model that turns queries and keys: all its scores are of the stream, whatever they go by."""
    numbers = role_numbers(with_distance(tables({"content": 1.0, "position": None}), 0.7))
    assert numbers["position"][["value", "lo", "hi"]].to_numpy().tolist() == [pytest.approx([0.7, 0.68, 0.72])]
    assert numbers["content"][["value", "lo", "hi"]].to_numpy().tolist() == [pytest.approx([0.3, 0.28, 0.32])]
