"""What counts of a table is its values, wherever and by whatever it was made."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.plumbing.artefacts import Paths, recorded, write, write_parts
from pipeline.plumbing.content import content_of, rows_of
from pipeline.plumbing.schema import Column, Table

TABLE = Table(
    "things",
    "a thing",
    ("name",),
    (
        Column("name", "string", "name", "which"),
        Column("value", "float64", "none", "how much", nullable=True),
        Column("count", "int64", "count", "how many", nullable=True),
        Column("kept", "bool", "none", "whether"),
        Column("took", "float64", "seconds, wall clock", "how long"),
        Column("tokens", "list<int32>", "index", "of which"),
    ),
)
ROWS = [("a", 0.5, 1, True, 3.0, [1, 2]), ("b", None, None, False, 4.0, []), ("é", -0.25, 7, True, 5.0, [3])]


def made(folder, rows=ROWS, spec="{}"):
    frame = pd.DataFrame(rows, columns=TABLE.names).astype({"count": "Int64"})
    paths = Paths([folder / "things.parquet"], spec)
    write(TABLE, frame, paths)
    return paths.files[0]


def changed(row, column, value):
    rows = [dict(zip(TABLE.names, values, strict=True)) for values in ROWS]
    rows[row][column] = value
    return [tuple(values.values()) for values in rows]


def test_neither_metadata_nor_order_nor_seconds_count(tmp_path):
    content = content_of(made(tmp_path))
    assert len(content) == 64
    assert content_of(made(tmp_path, ROWS[::-1])) == content
    assert content_of(made(tmp_path, spec=json.dumps({"settings": {"threads": 2}}))) == content
    assert content_of(made(tmp_path, changed(0, "took", 9.0))) == content


def test_neither_compression_nor_the_grouping_of_rows_counts(tmp_path):
    path = made(tmp_path)
    content, whole = content_of(path), pq.read_table(path)
    pq.write_table(whole, path, row_group_size=1, compression="gzip", use_dictionary=False)
    assert content_of(path) == content
    write_parts(TABLE, (whole.slice(place, 1) for place in range(3)), Paths([path]))
    assert content_of(path) == content


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [
        (0, "name", "aa"),
        (0, "value", 0.5000000000000001),
        (1, "value", 0.0),
        (1, "count", 0),
        (0, "kept", False),
        (1, "tokens", [2]),
    ],
)
def test_every_value_counts(row, column, value, tmp_path):
    assert content_of(made(tmp_path, changed(row, column, value))) != content_of(made(tmp_path / "other"))


def test_values_do_not_run_into_each_other(tmp_path):
    contents = set()
    for rows in (
        {"x": ["ab", "c"], "l": [[1], [2, 3]]},
        {"x": ["a", "bc"], "l": [[1], [2, 3]]},
        {"x": ["ab", "c"], "l": [[1, 2], [3]]},
    ):
        pq.write_table(pa.table(rows), tmp_path / "t.parquet")
        contents.add(content_of(tmp_path / "t.parquet"))
    assert len(contents) == 3


@pytest.fixture
def files(tmp_path):
    """A table and another file of a job that two runs share."""
    job = f"results/store/prepare/{'a' * 12}"
    spec = json.dumps({"versions": {"torch": "2"}, "job": job})
    outputs = Paths([tmp_path / job / "notes.json"], spec)
    with recorded(outputs, "notes.json") as temporary:
        temporary.write_text("notes")
    return [made(tmp_path / job, spec=spec), *outputs.files, tmp_path / job / "notes.json.made.json"]


RUNS = [("base", 0, {"prepare": "a" * 12}), ("base", 1, {"prepare": "a" * 12})]


def test_a_file_is_listed_once_for_each_run_that_shares_it(files):
    rows = rows_of(files, RUNS)
    assert [(row["seed"], row["file"]) for row in rows] == [
        (seed, name) for name in ("things.parquet", "notes.json") for seed in (0, 1)
    ]
    assert {(row["experiment"], row["stage"], row["job"]) for row in rows} == {("base", "prepare", "a" * 12)}
    assert rows[0]["digest"] == content_of(files[0])
    assert json.loads(rows[0]["versions"]) == {"torch": "2"}
    # printf notes | sha256sum
    assert rows[2]["digest"] == "ab5aa97074c454a0632057e704220d9a6678fbf773a0a5806fc09b8173b07309"
    assert rows[2]["versions"] is None


@pytest.mark.parametrize("place", [0, 1])
def test_of_a_damaged_file_nothing_is_said(files, place):
    files[place].write_bytes(files[place].read_bytes()[:-1])
    with pytest.raises(ValueError, match="damaged"):
        rows_of(files, RUNS)
