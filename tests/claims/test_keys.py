import pandas as pd

from pipeline.claims.keys import HEAD, RUN, head_name, of_unit, without_begin


def test_a_head_is_named_by_layer_and_number():
    assert head_name(1, 11) == "1.11"
    assert HEAD[: len(RUN)] == RUN


def test_the_rows_of_a_unit_are_found_by_its_name():
    rows = pd.DataFrame({"layer": [1, 1, 11], "unit": [12, 2, 12], "value": [1, 2, 3]})
    assert of_unit(rows, "unit", "1.12")["value"].tolist() == [1]
    assert of_unit(rows, "unit", "2.12").empty


def test_begin_is_left_out_of_runs_that_know_it():
    rows = [("base", 0, "all", 1), ("base", 0, "no_begin", 2), ("base", 1, "all", 3), ("other", 0, "all", 4)]
    frame = pd.DataFrame(rows, columns=["experiment", "seed", "keys", "value"])
    assert without_begin(frame)["value"].tolist() == [2, 3, 4]
    assert without_begin(frame.iloc[:0]).empty
