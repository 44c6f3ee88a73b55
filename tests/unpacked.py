"""The reader of a page's blocks, by no code of the package."""

import base64
import itertools
import json
import zlib

import numpy as np


def opened(text):
    """The tables of a block and what it says of itself, read as its format is described."""
    data = zlib.decompress(base64.b64decode(text))
    start = 4 + int.from_bytes(data[:4], "little")
    header = json.loads(data[4:start])
    tables = {
        name: {column["name"]: _column(column, table["rows"], data[start:]) for column in table["columns"]}
        for name, table in header["tables"].items()
    }
    return tables, header["about"]


def _column(column, rows, body):
    if column["kind"] == "bytes":
        ends = [column["at"], *(column["at"] + end for end in column["ends"])]
        return [list(body[start:end]) for start, end in itertools.pairwise(ends)]
    size = rows * column["width"]
    planes = np.frombuffer(body[column["at"] : column["at"] + size], "u1").reshape(column["width"], rows)
    raw = np.ascontiguousarray(planes.T)
    if column["kind"] == "float":
        return raw.view("<f4").ravel().tolist()
    numbers = raw.view(f"<u{column['width']}").ravel().tolist()
    if column["kind"] == "bool":
        return [number == 1 for number in numbers]
    values = [None if number == 0 else number + column["least"] for number in numbers]
    if column["kind"] == "string":
        return [None if value in (None, -1) else column["values"][value] for value in values]
    return values
