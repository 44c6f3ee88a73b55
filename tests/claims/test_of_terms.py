import pandas as pd
import pytest

from pipeline.claims.of_terms import (
    position_attends_to_previous,
    position_position_largest,
    position_position_matters_most,
    token_attends_to_itself,
)


def terms(shares):
    rows = [
        (0, head, query, key, statistic, "all", value)
        for head in (0, 1)
        for statistic in ("share", "naive_share")
        for (query, key), value in shares.items()
    ]
    columns = ["layer", "head", "query_source", "key_source", "statistic", "component", "value"]
    return {"attention_terms": pd.DataFrame(rows, columns=columns)}


def test_the_lead_is_over_the_largest_other_term():
    four = {
        ("token", "token"): 0.3,
        ("token", "position"): 0.05,
        ("position", "token"): 0.05,
        ("position", "position"): 0.6,
    }
    assert position_position_matters_most(terms(four)).value == pytest.approx(0.3)
    assert position_position_largest(terms(four)).value == pytest.approx(0.3)
    assert position_position_largest(terms({("token", "token"): 1.0})) is None


def profiles(source, by_head):
    rows = [
        (0, head, source, source, offset, value)
        for head, values in by_head.items()
        for offset, value in enumerate(values)
    ]
    columns = ["layer", "head", "query_source", "key_source", "offset", "mean_score"]
    return {"offset_profiles": pd.DataFrame(rows, columns=columns)}


def test_heads_that_favour_the_token_before_are_counted():
    # The last offsets, which only the last queries reach, are not among those compared.
    finding = position_attends_to_previous(profiles("position", {0: [0, 2, 1, 0, 9], 1: [3, 2, 1, 0, 0]}))
    assert (finding.value, finding.chance) == (0.5, 1 / 3)


def test_self_attention_is_the_diagonal_of_the_token_token_term():
    finding = token_attends_to_itself(profiles("token", {0: [2.0, 0, 0], 1: [-1.0, 0, 0]}))
    assert finding.value == 0.5
    assert token_attends_to_itself(profiles("position", {0: [1.0]})) is None
