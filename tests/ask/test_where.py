import pandas as pd
import pytest

from pipeline.ask.where import chosen

FRAME = pd.DataFrame(
    {
        "layer": pd.array([0, 0, 1, None], dtype="Int64"),
        "metric": ["induction", "copying", "induction", None],
        "value": [0.1, 0.9, float("nan"), 0.5],
        "exact": [True, False, True, True],
        "row_token": ["and", "'", '"', "a b"],
    }
)


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("layer = 0", [0, 1]),
        ("layer != 0", [2]),  # a null is not unequal, it is unknown
        ("layer = null", [3]),
        ("value != null", [0, 1, 3]),
        ("value > 0.2 and layer = 0", [1]),
        ("value > 0.2 or layer = 0", [0, 1, 3]),
        ("layer = 1 or layer = 0 and value < 0.5", [0, 2]),  # and binds first
        ("(layer = 1 or layer = 0) and value < 0.5", [0]),
        ("not (metric = induction)", [1, 3]),
        ("metric == 'copying'", [1]),
        ("exact = true and layer>=1", [2]),
        ("value <= 5e-1", [0, 3]),
        ('row_token = "and"', [0]),
        ("row_token = and", [0]),
        ('row_token = "\'"', [1]),
        ("row_token = '\"'", [2]),
        ("row_token = 'a b'", [3]),
        ("metric > b", [0, 1, 2]),
    ],
)
def test_rows_are_those_that_the_condition_says(condition, rows):
    assert chosen(FRAME, condition).index.tolist() == rows


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("layr = 0", "no column layr; did you mean layer"),
        ("layer 0", "'0' is no operator"),
        ("layer =", "ends where a value should come"),
        ("layer = 0 and", "ends where a column should come"),
        ("(layer = 0", "a bracket is not closed"),
        ("layer = 0 value", "cannot go on with 'value'"),
        ("layer = zero", "which 'zero' is none of"),
        ("exact = 1", "which '1' is none of"),
        ("layer = 'open", "cannot be read at"),
        ("value > >", "'>' is no value"),
        ("@pd.io.common.os.system('true')", "no column @pd.io.common.os.system"),
        ("__import__('os').system('true') = 1", "no column __import__"),
    ],
)
def test_anything_else_is_refused_and_nothing_runs(condition, told):
    with pytest.raises(ValueError, match=told):
        chosen(FRAME, condition)
