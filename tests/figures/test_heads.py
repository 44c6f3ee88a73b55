import pandas as pd

from pipeline.figures.heads import (
    MOST,
    first_seed,
    heads_of,
    leading_head,
    leading_heads,
    listed_heads,
    name,
    names_of,
    of_head,
)


def test_name():
    assert name((1, 11)) == "1.11"


def test_of_many_heads_those_with_the_largest_sizes_are_listed_in_order():
    rows = pd.DataFrame({"layer": 3, "head": range(MOST + 2), "value": range(-1, -MOST - 3, -1)})
    listed, said = listed_heads(rows, "value", "scores")
    assert listed == [(3, head) for head in range(2, MOST + 2)]
    assert said == f" Of {MOST + 2} heads, the {MOST} with the largest scores."
    assert listed_heads(rows.iloc[:-2], "value", "scores") == ([(3, head) for head in range(MOST)], "")
    assert names_of(rows)[:2] == ["3.0", "3.1"]


def test_best_heads_are_those_made_to_be(head_scores):
    assert leading_heads(head_scores) == {
        (0, 1): "best previous-token head (0.90)",
        (1, 2): "best induction head (0.90)",
    }


def test_a_head_that_leads_twice_is_named_once(head_scores):
    one_layer = head_scores[head_scores["layer"] == 0].copy()
    one_layer.loc[one_layer["head"] == 1, "value"] = 1.0
    assert leading_heads(one_layer) == {(0, 1): "best previous-token head (1.00) and best induction head (1.00)"}


def test_the_first_seeds_best_head_is_shown_whatever_others_have(head_scores):
    head_scores.loc[(head_scores["seed"] == 1) & (head_scores["layer"] == 0), "value"] = 1.0
    assert leading_head(head_scores, "induction") == ((1, 2), 0.9)
    assert leading_head(head_scores.iloc[:0], "induction") is None


def test_rows_of_a_seed_and_of_a_head(head_scores):
    rows = of_head(first_seed(head_scores), (1, 2))
    assert set(rows["seed"]) == {0}
    assert heads_of(rows) == [(1, 2)]
    assert heads_of(head_scores.iloc[::-1]) == [(layer, head) for layer in range(2) for head in range(3)]
