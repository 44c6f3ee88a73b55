"""Frames put together to one that a table can be written from."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from pipeline.plumbing.schema import Table


def together(table: Table, frames: Iterable[pd.DataFrame], **constants: Any) -> pd.DataFrame:
    """Return frames as one, with constant columns; an empty table if none has a row."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled or [pd.DataFrame(columns=table.names)]).assign(**constants)
