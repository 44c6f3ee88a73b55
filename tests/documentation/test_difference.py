import numpy as np
import pandas as pd
import pytest

from pipeline.documentation.difference import compared

TABLE = pd.DataFrame(
    {
        "head": [0, 1, 2],
        "value": [0.5, 100.0, np.nan],
        "verdict": ["yes", None, "no"],
        "steps": pd.array([1, None, 3], "Int64"),
        "terms": [np.array([1.0, 2.0]), np.array([]), np.array([3.0])],
    }
)


def test_a_table_is_equal_to_itself():
    assert compared(TABLE, TABLE, ["head"], 0.0) == ("equal", "")
    assert compared(TABLE[:0], TABLE[:0], ["head"], 0.0) == ("equal", "")


def test_floats_are_close_up_to_the_tolerance_which_above_1_is_relative():
    other = TABLE.assign(value=[0.501, 100.08, np.nan])
    told = "largest difference 0.08 in value, relative 0.002 in value"
    assert compared(TABLE, other, ["head"], 0.00101) == ("close", told)
    assert compared(TABLE, other, ["head"], 0.0009) == ("different", f"1 of 3 rows, in value; {told}")
    assert compared(TABLE, other, ["head"], 0.0001) == ("different", f"2 of 3 rows, in value; {told}")


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("value", [0.5, 100.0, 1.0]),  # a number where there is none
        ("verdict", ["yes", None, "yes"]),
        ("verdict", ["yes", "no", "no"]),
        ("steps", pd.array([1, None, 4], "Int64")),
        ("steps", pd.array([1, 2, 3], "Int64")),
        ("terms", [np.array([1.0, 2.0]), np.array([]), np.array([3.0, 4.0])]),
    ],
)
def test_what_is_no_float_must_be_equal(column, values):
    assert compared(TABLE, TABLE.assign(**{column: values}), ["head"], 1e9) == (
        "different",
        f"1 of 3 rows, in {column}",
    )


def test_members_of_lists_are_compared_one_by_one():
    other = TABLE.assign(terms=[np.array([1.0, 2.5]), np.array([]), np.array([3.0])])
    assert compared(TABLE, other, ["head"], 0.1)[1].startswith("1 of 3 rows, in terms; largest difference 0.5 in terms")


def test_rows_are_found_by_key():
    assert compared(TABLE, TABLE[::-1], ["head"], 0.0) == ("equal", "")
    moved = TABLE.assign(head=[0, 1, 7], layer=0)
    told = "1 columns only there, the first layer; 1 rows only here, the first 2; 1 rows only there, the first 7"
    assert compared(TABLE, moved, ["head"], 0.0) == ("different", told)


def test_a_table_of_older_code_is_compared_by_what_both_tell_rows_apart_by():
    newer = TABLE.assign(mode="raw")
    told = "1 columns only here, the first mode"
    assert compared(newer, TABLE, ["head", "mode"], 0.0) == ("different", told)
    twice = pd.concat([newer, TABLE.assign(mode="after")])
    assert compared(twice, TABLE, ["head", "mode"], 0.0) == ("different", told)
    assert compared(newer, TABLE, ["mode"], 0.0) == ("different", told)
