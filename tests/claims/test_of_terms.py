import pandas as pd
import pytest

from pipeline.claims.of_terms import (
    position_attends_to_previous,
    position_position_largest,
    position_position_matters_most,
    token_attends_to_itself,
)

COLUMNS = ["layer", "head", "query_source", "key_source", "statistic", "keys", "sentence", "value"]


def terms(shares, judged=None, without=None):
    """Both statistics of two heads: `shares` on the sentences that choose and, unless they are given, that judge."""
    rows = [
        (0, head, query, key, statistic, keys, sentence, value)
        for head in (0, 1)
        for statistic in ("share", "naive_share")
        for keys, four in (("all", (shares, judged or shares)), ("no_begin", (without or {}, without or {})))
        for sentence in range(4)
        for (query, key), value in four[sentence % 2].items()
    ]
    return {"sentence_terms": pd.DataFrame(rows, columns=COLUMNS).assign(weight=1.0)}


FOUR = dict(
    zip(
        [("token", "token"), ("token", "position"), ("position", "token"), ("position", "position")],
        [0.3, 0.05, 0.05, 0.6],
        strict=True,
    )
)


def test_the_lead_is_over_the_largest_other_term():
    for claim in (position_position_matters_most, position_position_largest):
        assert claim(terms(FOUR)).value == pytest.approx(0.3)
        assert claim(terms({("token", "token"): 1.0})) is None


def test_the_largest_other_term_is_chosen_on_other_sentences():
    """Where it is judged, another one is larger."""
    judged = {**FOUR, ("token", "token"): 0.1, ("token", "position"): 0.25}
    assert position_position_matters_most(terms(FOUR, judged)).value == pytest.approx(0.5)


def test_what_is_left_without_the_begin_token_is_said():
    without = {**FOUR, ("position", "position"): 0.2}
    assert "without [BEGIN] position-position 0.200" in position_position_largest(terms(FOUR, without=without)).evidence


def profiles(source, by_head):
    rows = [
        (0, head, source, source, offset, value)
        for head, values in by_head.items()
        for offset, value in enumerate(values)
    ]
    columns = ["layer", "head", "query_source", "key_source", "offset", "mean_score"]
    return {"offset_profiles": pd.DataFrame(rows, columns=columns).assign(keys="all")}


def test_heads_that_favour_the_token_before_are_counted():
    # The last offsets, which only the last queries reach, are not among those compared.
    finding = position_attends_to_previous(profiles("position", {0: [0, 2, 1, 0, 9], 1: [3, 2, 1, 0, 0]}))
    assert (finding.value, finding.chance) == (0.5, 1 / 3)


def test_self_attention_is_the_diagonal_of_the_token_token_term():
    rows = [
        (0, head, "token", "token", "diagonal", "all", n, value + n)
        for head, value in ((0, 1.5), (1, -1.5))
        for n in (0, 1)
    ]
    finding = token_attends_to_itself({"sentence_terms": pd.DataFrame(rows, columns=COLUMNS).assign(weight=3)})
    assert finding.value == pytest.approx(0.5)
    assert len(finding.number.influence) == 2
    assert token_attends_to_itself(terms(FOUR)) is None
