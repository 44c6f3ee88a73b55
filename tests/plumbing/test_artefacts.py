import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from pipeline.plumbing.artefacts import Paths, atomic, provenance_of, read, read_parts, write, write_parts
from pipeline.plumbing.schema import Column, Table

THINGS = Table(
    name="things",
    row="one thing",
    key=("name", "step"),
    columns=(
        Column("name", "string", "name", "which", options=("a", "b")),
        Column("step", "int64", "steps", "when; null for never", 0, nullable=True),
        Column("value", "float64", "probability", "how much", 0, 1, nullable=True),
    ),
)


def frame(**changes):
    columns = {"name": ["b", "a"], "step": pd.array([None, 2], dtype="Int64"), "value": [0.5, float("nan")]}
    return pd.DataFrame(columns | changes)


@pytest.fixture
def paths(tmp_path):
    return Paths([tmp_path / "things.parquet"], '{"settings":{"x":1}}')


def test_what_is_written_is_read_back_sorted_with_nulls_kept(paths):
    write(THINGS, frame(), paths)
    back = read(THINGS, paths)
    assert back["name"].tolist() == ["a", "b"]
    assert back["step"].tolist() == [2, pd.NA]
    assert back["value"].isna().tolist() == [True, False]
    assert provenance_of(paths.files[0]) == {"settings": {"x": 1}}


def test_equal_rows_in_another_order_give_equal_bytes(paths):
    write(THINGS, frame(), paths)
    first = paths.files[0].read_bytes()
    write(THINGS, frame().iloc[::-1], paths)
    assert paths.files[0].read_bytes() == first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"name": ["a", "c"]}, "'c' is not one of a, b", id="unknown option"),
        pytest.param({"name": [None, "a"]}, "had 1 null values", id="null"),
        pytest.param({"value": [0.5, 1.5]}, "1.5 is above 1", id="too large"),
        pytest.param({"value": [-0.5, 1.0]}, "-0.5 is below 0", id="too small"),
        pytest.param({"value": [float("inf"), 1.0]}, "infinite", id="infinite"),
        pytest.param({"value": ["much", 1.0]}, "table things", id="wrong type"),
        pytest.param({"step": [1.5, 2.0]}, "table things", id="a fraction in a column of integers"),
        pytest.param({"name": ["a", "a"], "step": [2, 2]}, "two rows share the key", id="duplicate key"),
        pytest.param(
            {"name": ["a", "a"], "step": pd.array([None, None], "Int64")}, "share the key", id="duplicate null"
        ),
        pytest.param({"other": [1, 2]}, "unknown ['other']", id="unknown column"),
    ],
)
def test_a_bad_table_is_refused_by_name_and_nothing_is_written(paths, changes, message):
    with pytest.raises(ValueError, match="things") as error:
        write(THINGS, frame(**changes), paths)
    assert message in str(error.value)
    assert list(paths.files[0].parent.iterdir()) == []


def test_a_missing_column_is_named(paths):
    with pytest.raises(ValueError, match=r"columns missing \['value'\]"):
        write(THINGS, frame().drop(columns="value"), paths)


def test_a_damaged_file_is_refused_in_one_line(paths):
    paths.files[0].write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match="delete it and run again"):
        read(THINGS, paths)


def test_a_table_of_other_columns_is_refused(paths):
    write(replace(THINGS, columns=THINGS.columns[:2]), frame().drop(columns="value"), paths)
    with pytest.raises(ValueError, match="not those of table things"):
        read(THINGS, paths)


def test_a_table_that_somebody_else_wrote_is_refused(paths):
    frame().to_parquet(paths.files[0])
    with pytest.raises(ValueError, match="it is not what was written"):
        read(THINGS, paths)


def test_pages_have_checksums_for_readers_that_know_no_more_of_a_file(paths):
    write(THINGS, frame(), paths)
    value = pq.ParquetFile(paths.files[0]).metadata.row_group(0).column(2)
    content = bytearray(paths.files[0].read_bytes())
    content[value.data_page_offset + value.total_compressed_size - 1] ^= 1
    paths.files[0].write_bytes(content)
    with pytest.raises(OSError, match="CRC"):
        pq.read_table(paths.files[0], page_checksum_verification=True)


def test_a_file_not_handed_over_is_named(tmp_path):
    with pytest.raises(ValueError, match="0 files named other"):
        Paths([tmp_path / "things.parquet"]).file("other")


def test_an_error_while_writing_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_files():
    """Let no file become larger than 100 kB: a disk that is full for each."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def parquet(data, path):
    with pq.ParquetWriter(path, data.schema) as writer:
        writer.write_table(data)


WRITERS = {
    "text": (lambda path: path.write_text("x" * 200_000), "needs more than 0.100 MB"),
    "tensors": (lambda path: save_file({"x": torch.zeros(50_000)}, path), "needs 0.200 MB"),
    "table": (lambda path: parquet(pa.table({"x": range(100_000)}), path), "needs more than 0."),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_file_that_does_not_fit_is_told_in_one_line_and_leaves_nothing(tmp_path, small_files, kind):
    write_to, needs = WRITERS[kind]
    size = 200_000 if kind == "tensors" else 0
    told = f"File too large: {needs}.* MB free"
    with pytest.raises(ValueError, match=told) as error, atomic(tmp_path / "file", size) as temporary:
        write_to(temporary)
    assert str(error.value).startswith(f"{tmp_path / 'file'}: ")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_sigkill_while_writing_leaves_the_old_file_and_the_next_try_succeeds(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    program = (
        "import os, pathlib, sys, time; from pipeline.plumbing.artefacts import atomic\n"
        f"with atomic(pathlib.Path({str(path)!r})) as t:\n"
        "    t.with_name('.tmpXyZ').touch()  # as safetensors does\n"
        "    t.write_text('half'); print('writing', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert path.read_text() == "old"
    with atomic(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def cut(data, *ends):
    """A frame in the key's order as Arrow parts that end at these rows."""
    data = pa.Table.from_pandas(data, preserve_index=False)
    return [data.slice(start, end - start) for start, end in zip([0, *ends], ends, strict=False)]


ORDERED = {"name": ["a", "a", "b"], "step": pd.array([None, 2, 1], dtype="Int64"), "value": [0.1, 0.2, 0.3]}


def test_parts_make_the_table_that_the_whole_makes(paths):
    write(THINGS, frame(**ORDERED), paths)
    whole = read(THINGS, paths)
    write_parts(THINGS, cut(frame(**ORDERED), 1, 3), paths)
    pd.testing.assert_frame_equal(read(THINGS, paths), whole)
    assert [len(part) for part in read_parts(THINGS, paths)] == [1, 2]
    assert provenance_of(paths.files[0]) == {"settings": {"x": 1}}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        pytest.param(cut(frame(**ORDERED), 1, 3)[::-1], "not in the order of the key", id="parts out of order"),
        pytest.param(cut(frame(**ORDERED).iloc[::-1], 3), "not in the order of the key", id="rows out of order"),
        pytest.param(cut(frame(**ORDERED), 2) * 2, "not in the order of the key", id="one part twice"),
        pytest.param(cut(frame(**ORDERED | {"value": [0.1, 0.2, 9.0]}), 1, 3), "9.0 is above 1", id="too large"),
    ],
)
def test_parts_that_are_wrong_leave_nothing_behind(paths, tmp_path, parts, message):
    with pytest.raises(ValueError, match=message):
        write_parts(THINGS, iter(parts), paths)
    assert not list(tmp_path.iterdir())
