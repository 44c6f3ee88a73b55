"""Rows of tables of which a test knows only what matters."""

import pandas as pd


def filled(table, rows):
    """Rows of a table, given what matters; the rest is null, or the first value there may be."""
    frame = pd.DataFrame(rows, columns=[column.name for column in table.columns])
    for column in table.columns:
        if not column.nullable and not column.type.startswith("list") and frame[column.name].isna().all():
            numbers = column.low if column.low is not None else 0
            default = False if column.type == "bool" else numbers
            frame[column.name] = (column.options or ("",))[0] if column.type == "string" else default
        if column.type.startswith("list"):
            frame[column.name] = frame[column.name].astype(object)
        if column.nullable and column.type == "int64":
            frame[column.name] = frame[column.name].astype("Int64")
    return frame


def options(table, name):
    """The values that a column of names may have."""
    (column,) = (column for column in table.columns if column.name == name)
    return set(column.options)
