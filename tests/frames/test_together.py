import pandas as pd

from pipeline.frames.together import together
from pipeline.plumbing.schema import Column, Table

TABLE = Table("ages", "one dog", ("dog",), (Column("dog", "string", "name", ""), Column("age", "int64", "years", "")))


def test_frames_stand_below_each_other_with_their_constants():
    dogs = (pd.DataFrame({"dog": [name]}) for name in ("Rex", "Fly"))
    assert together(TABLE, dogs, age=3).to_dict("list") == {"dog": ["Rex", "Fly"], "age": [3, 3]}


def test_no_frames_make_an_empty_table_of_the_same_columns():
    empty = together(TABLE, [])
    assert empty.empty
    assert list(empty.columns) == ["dog", "age"]


def test_a_frame_without_rows_need_not_have_the_columns():
    empty = together(TABLE, [pd.DataFrame({"age": []})])
    assert list(empty.columns) == ["dog", "age"]
    one = together(TABLE, [pd.DataFrame(), pd.DataFrame({"dog": ["Rex"], "age": [3]})])
    assert one.to_dict("list") == {"dog": ["Rex"], "age": [3]}
