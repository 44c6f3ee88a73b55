"""The one door to the disk: tables are validated both ways; files appear whole or not at all, and are read intact."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.plumbing import disk, intact
from pipeline.plumbing.schema import Column, Table

ARROW_TYPES = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "list<int32>": pa.list_(pa.int32()),
    "list<float32>": pa.list_(pa.float32()),
}


class Paths:
    """The files a job was handed, found by name; `provenance` and `made_from` are written into each table."""

    def __init__(self, files: Iterable[str | Path], provenance: str = "{}", made_from: str = "{}") -> None:
        """Take the files, and as JSON the job's spec (settings, code, package versions) and its inputs' digests."""
        self.files = [Path(file) for file in files]
        self.provenance = provenance
        self.made_from = made_from

    def whole(self, name: str) -> Path:
        """Return the one file of this name, which is no table, if it is as it was written.

        Raises:
            ValueError: it is not; or there is none, or more than one.
        """
        path = self.file(name)
        intact.check_beside(path)
        return path

    def file(self, name: str) -> Path:
        """Return the one file of this name; ValueError if there is none, or more than one."""
        named = self.all(name)
        if len(named) != 1:
            raise ValueError(f"{len(named)} files named {name} among {[str(file) for file in self.files]}; need one")
        return named[0]

    def all(self, name: str) -> list[Path]:
        """Return every file of this name, in the order given."""
        return [file for file in self.files if file.name == name]


@contextmanager
def atomic(path: Path, size: int = 0) -> Iterator[Path]:
    """Yield a temporary path; what was written there takes `path`'s place at the end.

    It lies in a folder of its own, as safetensors writes a file of any name beside it first. The folder's name is
    fixed, so that what a killed job left behind is removed by the next try. A link put there takes the place as it is:
    the file behind it is a person's own.

    Args:
        path: the file.
        size: how large it becomes (bytes), where that is known before.

    Raises:
        ValueError: the disk is full or may not be written; the line says which, and how much is needed.
    """
    work = path.with_name(f".{path.name}.tmp")
    temporary = work / "whole"
    try:
        _remove(work)
        work.mkdir(parents=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if not temporary.is_symlink():
            temporary.chmod(0o644)  # safetensors' are the owner's alone
        os.replace(temporary, path)
        _remove(work)
    except BaseException as error:
        written = sum(file.lstat().st_size for file in work.glob("*"))
        with suppress(OSError):  # of a disk that may not be written any more
            _remove(work)
        if isinstance(error, Exception) and (line := disk.told(error, path, size, written)):
            raise ValueError(line) from error
        raise


def _remove(work: Path) -> None:
    if work.is_dir() and not work.is_symlink():
        shutil.rmtree(work)
    elif os.path.lexists(work):
        work.unlink()


@contextmanager
def recorded(outputs: Paths, name: str, size: int = 0) -> Iterator[Path]:
    """Write a file that is no table, as `atomic` does; its digest and its job are kept beside it."""
    path = outputs.file(name)
    with atomic(path, size) as temporary:
        yield temporary
    record([path], outputs)


def record(files: list[Path], outputs: Paths) -> None:
    """Keep the digests and the job of files, figures or one alone, beside them."""
    with atomic(intact.beside(files[0])) as temporary:
        temporary.write_text(intact.record_of(files, outputs.provenance, outputs.made_from), encoding="utf-8")


def arrow_schema(table: Table) -> pa.Schema:
    """Return the table's columns as an Arrow schema that carries units and meanings."""
    return pa.schema(
        pa.field(
            column.name,
            ARROW_TYPES[column.type],
            nullable=column.nullable,
            metadata={"unit": column.unit, "meaning": column.meaning},
        )
        for column in table.columns
    )


def write(table: Table, frame: pd.DataFrame, outputs: Paths) -> None:
    """Check `frame` against `table` and write it as <table.name>.parquet, sorted by key.

    Raises:
        ValueError: a column is missing, unknown, of the wrong type, null, not finite or out of range, or
            two rows share a key. Nothing is written then.
    """
    names = table.names
    if set(frame.columns) != set(names):
        missing, unknown = sorted(set(names) - set(frame.columns)), sorted(set(frame.columns) - set(names))
        raise ValueError(f"table {table.name}: columns missing {missing}, unknown {unknown}")
    try:
        data = pa.Table.from_pandas(frame[names], schema=arrow_schema(table), preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ValueError(f"table {table.name}: {' '.join(str(part) for part in error.args)}") from error
    data = _sorted(data, table)
    validate(table, data)
    data = data.replace_schema_metadata(_metadata(table, outputs))
    write_arrow(table, data, outputs.file(f"{table.name}.parquet"))


def _metadata(table: Table, outputs: Paths) -> dict[str, str]:
    return {"table": table.row, "spec": outputs.provenance, "made_from": outputs.made_from}


def write_parts(table: Table, parts: Iterable[pa.Table], outputs: Paths) -> None:
    """Write a table too large to hold, as `write` does: each part, in the key's order, is checked and let go.

    Raises:
        ValueError: a part is not as the table declares, or out of order. Nothing is written then.
    """
    schema = arrow_schema(table).with_metadata(_metadata(table, outputs))
    last = None
    with _writer(table, schema, outputs.file(f"{table.name}.parquet")) as writer:
        for part in parts:
            part = part.cast(schema)
            validate(table, part)
            first, end = (_key_of(table, part, row) for row in (0, len(part) - 1))
            if _sorted(part, table) is not part or (last is not None and first <= last):
                raise ValueError(f"table {table.name}: parts are not in the order of the key {table.key}")
            last = end
            writer.write_table(part)


def _key_of(table: Table, data: pa.Table, row: int) -> tuple:
    """Return a row's key as something to compare, nulls first."""
    values = (data[name][row].as_py() for name in table.key)
    return tuple((False,) if value is None else (True, value) for value in values)


def write_arrow(table: Table, data: pa.Table, path: Path) -> None:
    """Write checked data."""
    with _writer(table, data.schema, path) as writer:
        writer.write_table(data)


@contextmanager
def _writer(table: Table, schema: pa.Schema, path: Path) -> Iterator[pq.ParquetWriter]:
    """Yield what writes a table's file, which is sealed at the end."""
    # Floats in lists are weights, which neither compress nor repeat.
    plain = any(column.type == "list<float32>" for column in table.columns)
    encoding = {
        "compression": "none" if plain else "zstd",
        "use_dictionary": [column.name for column in table.columns if column.type == "string"],
        "write_page_checksum": True,
    }
    with atomic(path) as temporary:
        with pq.ParquetWriter(temporary, schema, **encoding) as writer:
            yield writer
            writer.add_key_value_metadata({"digest": intact.BLANK})
        intact.seal(temporary)


def read(table: Table, inputs: Paths) -> pd.DataFrame:
    """Read <table.name>.parquet and check it against `table`; nullable integers come as Int64.

    Raises:
        ValueError: the file is missing, damaged, another job's, or not what `table` declares.
    """
    return read_file(table, inputs.file(f"{table.name}.parquet"))


def read_file(table: Table, path: Path) -> pd.DataFrame:
    """Read one file of this kind of table, as `read` does."""
    data = _opened(table, path).read()
    validate(table, data)
    frame = data.to_pandas()
    for column in table.columns:
        if column.nullable and column.type.startswith("int"):
            frame[column.name] = data[column.name].to_pandas(types_mapper=nullable_integers)
    return frame


def nullable_integers(kind: pa.DataType) -> pd.Int64Dtype | None:
    """Return the type of integers that may be null; None for what needs none."""
    return pd.Int64Dtype() if kind == pa.int64() else None


def read_parts(table: Table, inputs: Paths) -> Iterator[pa.Table]:
    """Read a table too large to hold, as `read` does, a row group at a time."""
    with _opened(table, inputs.file(f"{table.name}.parquet")) as file:
        for group in range(file.num_row_groups):
            part = file.read_row_group(group)
            validate(table, part)
            yield part


def _opened(table: Table, path: Path) -> pq.ParquetFile:
    """Open a file that holds this kind of table."""
    file = _intact(path)
    if not file.schema_arrow.equals(arrow_schema(table), check_metadata=False):
        raise ValueError(f"{path}: its columns are not those of table {table.name}; {intact.mend(path)}")
    return file


def _intact(path: Path) -> pq.ParquetFile:
    """Open a table's file, if it is as it was written and its own job's."""
    intact.check_sealed(path)
    file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
    intact.check_job(path, _spec_in(file))
    return file


def _spec_in(file: pq.ParquetFile) -> str:
    return file.schema_arrow.metadata[b"spec"].decode()


def provenance_of(path: Path) -> dict:
    """Return the spec that a table's file was made with; ValueError if the file is damaged or another job's."""
    return origin_of(path)[0]


def origin_of(path: Path) -> tuple[dict, dict[str, str]]:
    """Return the spec that a table's file was made with and what from, by who made that; raises as `provenance_of`."""
    with _intact(path) as file:
        return json.loads(_spec_in(file)), json.loads(file.schema_arrow.metadata.get(b"made_from", b"{}"))


def validate(table: Table, data: pa.Table) -> None:
    """Check every column's nulls, finiteness, range and options, and that no two rows share a key.

    Raises:
        ValueError: one line that names the table, the column, the offending value and the rule.
    """
    for column in table.columns:
        _validate_column(table.name, column, data[column.name])
    if table.key and data.select(table.key).to_pandas().duplicated().any():
        raise ValueError(f"table {table.name}: two rows share the key {table.key}")


def _validate_column(table: str, column: Column, values: pa.ChunkedArray) -> None:
    where = f"table {table}, column {column.name}"
    if not column.nullable and values.null_count:
        raise ValueError(f"{where}: {values.null_count} of {len(values)} values are null")
    numbers = pc.list_flatten(values) if pa.types.is_list(values.type) else values
    if pa.types.is_floating(numbers.type) and pc.all(pc.is_finite(numbers)).as_py() is False:
        raise ValueError(f"{where}: holds an infinite value or NaN")
    if column.low is not None or column.high is not None:
        least, most = pc.min(numbers).as_py(), pc.max(numbers).as_py()
        if column.low is not None and least is not None and least < column.low:
            raise ValueError(f"{where}: {least} is below {column.low}")
        if column.high is not None and most is not None and most > column.high:
            raise ValueError(f"{where}: {most} is above {column.high}")
    strange = set(pc.unique(values).to_pylist()) - {None, *column.options} if column.options else set()
    if strange:
        raise ValueError(f"{where}: {min(map(str, strange))!r} is not one of {', '.join(column.options)}")


def _sorted(data: pa.Table, table: Table) -> pa.Table:
    """Sort rows by key, nulls first; leave rows already in order where they are (weights are large)."""
    if not table.key:
        return data
    keys: Any = [(key, "ascending", "at_start") for key in table.key]
    order = pc.sort_indices(data.select(table.key), keys)
    in_order = pc.all(pc.equal(order, pa.array(range(len(order)), order.type))).as_py()
    return data if in_order is not False else data.take(order)
