import pandas as pd

from pipeline.claims.known_answers import KEY, judged
from pipeline.tables.known_answers import DEFINITION_POWER, KNOWN_ANSWERS

SCORE = {"model": "copy", "layer": 0, "head": 0, "metric": "copying", "eval_set": "weights"}


def test_a_row_is_what_the_judgement_is_of():
    assert KNOWN_ANSWERS.key == ("model", *KEY)


def test_an_error_beyond_the_tolerance_is_kept_and_does_not_pass(kept, refusal):
    """One answer met, one missed by a half, one that nobody knows."""
    rows = [
        SCORE | {"definition": "eigenvalue", "expected": 1.0, "measured": 1.0},
        SCORE | {"definition": "top1", "expected": 1.0, "measured": 0.5},
        SCORE | {"definition": "top5", "expected": None, "measured": 0.25, "reason": "scores are equal"},
    ]
    limits = pd.Series([1e-6] * 3), pd.Series([False] * 3)
    table = kept(KNOWN_ANSWERS, *judged(pd.DataFrame(rows), *limits).to_dict("records"))
    assert table["absolute_error"].fillna(-1).tolist() == [0, 0.5, -1]
    assert table["passed"].tolist() == [True, False, True]
    assert table["tolerance"].isna().tolist() == [False, False, True]
    assert refusal(KNOWN_ANSWERS, rows[0] | {"absolute_error": -0.5}) == "column absolute_error: -0.5 is below 0"
    assert "two rows share the key" in refusal(KNOWN_ANSWERS, rows[0], rows[0])


def test_a_definition_that_calls_no_head_has_no_false_discoveries(kept, refusal):
    row = {"metric": "copying", "definition": "top1", "measured_on": "weights", "kind": "all"}
    row |= {"false_discoveries": None, "sentences_for_auc": None, "sentences_for_power": None}
    assert kept(DEFINITION_POWER, row)["false_discoveries"].isna().all()
    assert refusal(DEFINITION_POWER, row | {"auc": 1.5}) == "column auc: 1.5 is above 1"
    assert "column kind" in refusal(DEFINITION_POWER, row | {"kind": "borrowed"})
