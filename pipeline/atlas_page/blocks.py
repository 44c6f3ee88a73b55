"""Columns of tables as text that a browser opens: by column, deflated, in base64.

A block is deflate(length of the header as uint32, header as JSON, columns), little-endian. The header says of every
column its kind and where it starts. Numbers are stored a byte plane at a time, all lowest bytes first, which deflates
well. `data.js` is the reader.
"""

import base64
import json
import zlib
from typing import Any

import numpy as np
import pandas as pd

MANTISSA = 23  # bits, of a float32


def pack(frames: dict[str, pd.DataFrame], bits: int, about: dict[str, Any] | None = None) -> str:
    """Return frames as one block of text.

    Args:
        frames: by name. Floats (NaN where null), integers (nullable or not), booleans, strings, and arrow's lists of
            integers below 256.
        bits: of each float's mantissa that are kept.
        about: what else the header is to say, as JSON.

    Raises:
        ValueError: a column is of another kind.
    """
    body = bytearray()
    tables = {}
    for name, frame in frames.items():
        columns = []
        for column in frame.columns:
            entry, data = _column(frame[column], bits)
            columns.append({"name": column, "at": len(body), **entry})
            body += data
        tables[name] = {"rows": len(frame), "columns": columns}
    header = json.dumps({"tables": tables, "about": about or {}}, allow_nan=False, separators=(",", ":")).encode()
    packed = zlib.compress(len(header).to_bytes(4, "little") + header + bytes(body), 9)
    return base64.b64encode(packed).decode("ascii")


def rounded(values: np.ndarray, bits: int) -> np.ndarray:
    """Return float32 whose mantissas keep `bits` bits, rounded half up in size; NaN stays."""
    cut = MANTISSA - bits
    raw = values.astype("<f4").view("<u4")
    half = (1 << cut) >> 1
    return ((raw + np.uint32(half)) & np.uint32(0xFFFFFFFF << cut & 0xFFFFFFFF)).view("<f4")


def _column(values: pd.Series, bits: int) -> tuple[dict[str, Any], bytes]:
    if pd.api.types.is_bool_dtype(values.dtype):
        return {"kind": "bool", "width": 1}, values.to_numpy("u1").tobytes()
    if pd.api.types.is_integer_dtype(values.dtype):
        return _integers(values.to_numpy("i8", na_value=0), values.isna().to_numpy(), "int")
    if pd.api.types.is_float_dtype(values.dtype):
        return {"kind": "float", "width": 4}, _planes(rounded(values.to_numpy("f8", na_value=np.nan), bits))
    if str(values.dtype).startswith("list"):
        lists = [np.asarray(each, "u1") for each in values]
        ends = np.cumsum([len(each) for each in lists], dtype=int)
        return {"kind": "bytes", "width": 1, "ends": ends.tolist()}, b"".join(each.tobytes() for each in lists)
    if pd.api.types.is_string_dtype(values):
        codes, names = pd.factorize(values, sort=True)
        entry, data = _integers(codes, codes < 0, "string")
        return entry | {"values": names.tolist()}, data
    raise ValueError(f"column {values.name}: {values.dtype} cannot be packed; give numbers, booleans or strings")


def _integers(values: np.ndarray, missing: np.ndarray, kind: str) -> tuple[dict[str, Any], bytes]:
    """Return integers as offsets from the least of them, 0 where missing, in as few bytes as hold them."""
    least = int(values[~missing].min(initial=2**62)) - 1
    offsets = np.where(missing, 0, values - least)
    width = next(width for width in (1, 2, 4, 8) if offsets.max(initial=0) < 256**width)
    return {"kind": kind, "width": width, "least": least}, _planes(offsets.astype(f"<u{width}"))


def _planes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values).view("u1").reshape(len(values), values.itemsize).T.tobytes()
