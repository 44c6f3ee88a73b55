"""The data dictionary, `results/README.md`: `python -m pipeline.plumbing.dictionary > results/README.md`."""

import importlib
import pkgutil

import pipeline.tables
from pipeline.plumbing.schema import Column, Table

HEADER = """# Results

`results/studies/<study>/` is for people: one Parquet file a table over all experiments and seeds of a study, and
its figures. `results/store/<stage>/<id>/` is for the machine: what one stage made with one slice of settings,
shared by every run that needs it; `runs.parquet` says which id belongs to which run. Nothing here is in git but
this page, which is printed from the tables' declarations.

In a study, the tables of single runs are led by two more columns: `experiment` and `seed`. Rows are
sorted by the key (in italics). A value that does not exist is null.
"""


def dictionary() -> str:
    """Return the page: every table, its columns, their types, units, ranges and meanings."""
    modules = sorted(module.name for module in pkgutil.walk_packages(pipeline.tables.__path__, "pipeline.tables."))
    parts = [HEADER]
    for module in modules:
        tables = [value for value in vars(importlib.import_module(module)).values() if isinstance(value, Table)]
        parts += [_section(table, module.split(".")[2]) for table in tables]
    return "\n".join(parts)


def _section(table: Table, stage: str) -> str:
    rows = "\n".join(_row(column, column.name in table.key) for column in table.columns)
    return (
        f"## {table.name}\n\n{table.row[0].upper()}{table.row[1:]}. Written by `{stage}`.\n\n"
        f"| column | type | unit | range | meaning |\n|---|---|---|---|---|\n{rows}\n"
    )


def _row(column: Column, in_key: bool) -> str:
    name = f"*{column.name}*" if in_key else column.name
    bounds = [("≥ ", column.low), ("≤ ", column.high)]
    limits = ", ".join(f"{sign}{bound:g}" for sign, bound in bounds if bound is not None)
    options = ", ".join(column.options)
    meaning = column.meaning.replace("|", "\\|")
    kind = column.type + (", may be null" if column.nullable else "")
    return f"| {name} | {kind} | {column.unit} | {limits or options} | {meaning} |"


if __name__ == "__main__":
    print(dictionary(), end="")
