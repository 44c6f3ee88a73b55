"""The data dictionary: `python -m pipeline.documentation.tables > docs/tables.md`."""

from collections import Counter
from collections.abc import Iterable

from pipeline.circuits.definitions.definition import Definition
from pipeline.circuits.definitions.registry import HEADS, MODELS, PAIRS
from pipeline.circuits.definitions.words import level_in_words
from pipeline.plumbing import graph
from pipeline.plumbing.schema import Column, Table
from pipeline.tables.registry import TABLES

HEADER = """# Tables

`results/studies/<study>/` has one Parquet file a table, over all experiments and seeds of a study. Tables of single
runs are led there by two more columns, `experiment` and `seed`. Rows are sorted by the key (in italics); a value that
does not exist is null. `results/store/<stage>/<id>/` has the same tables as each stage wrote them, without these two;
`runs` says which id belongs to which run. Every file carries each column's unit and meaning, and the settings it was
made with, in its metadata. This page is printed from the tables' declarations.
"""
# Stages in the order in which their tables are read; a table not listed here belongs to a stage that is not, and a test
# fails.
ORDER = (
    ("judge", "What the study says"),
    ("score", "What heads and pairs of heads do"),
    ("challenge", "Whether it is a shortcut"),
    ("ablate", "What depends on them"),
    ("cover", "How much of them is their role"),
    ("decompose", "What makes their scores"),
    ("project", "What they say to the vocabulary"),
    ("overlap", "What points at the same tokens"),
    ("align", "Which head is which in another run"),
    ("score_checkpoints", "How they came about"),
    ("train", "How the model was trained"),
    ("verify", "What was checked before anything was said"),
    ("prepare", "Text and tokens"),
    ("probe", "What models were measured on"),
    ("extract", "Parameters"),
    ("summarise", "Which files and settings"),
    ("manifest", "What must be the same elsewhere"),
    ("known_answers", "Models whose scores are known"),
    ("benchmark", "How fast the exact search is"),
    ("timing", "Where the time went"),
    ("scaling", "What larger models cost"),
)
SHARED_BY = 3  # tables; a column that as many have, in the same words, is explained once
DEFINITIONS = """## Definitions

Every definition of every score: the columns `metric` and `definition` name one of these. Null: what the score is
compared with, the kind that its own columns hold first (rotation, gaussian, permuted_tokens, renamed_tokens,
step_0: see the column `null_kind`). Gauge: whether invertible maps between a head's W_Q and W_K, and its W_V and W_O,
leave it as it is.
"""


def page() -> str:
    """Return the page: what to read first, columns that tables share, every table, every definition."""
    tables = {stage: tables_of(stage) for stage, _ in ORDER}
    shared = shared_columns([table for of_stage in tables.values() for table in of_stage])
    contents = [f"- {words}: {', '.join(_link(table.name) for table in tables[stage])}" for stage, words in ORDER]
    contents += ["- [Shared columns](#shared-columns)", "- [Definitions](#definitions)"]
    sections = [
        "\n".join([f"## {words}\n", *(_section(table, stage, shared) for table in tables[stage])])
        for stage, words in ORDER
    ]
    columns = "## Shared columns\n\n" + _grid(_row(column, in_key=False) for column in shared.values())
    return "\n".join([HEADER, *contents, "", *sections, columns, DEFINITIONS, *_definitions()])


def tables_of(stage: str) -> list[Table]:
    """Return the tables that a stage writes first: what a study's stages gather is not theirs."""
    declared = graph.STAGES[stage]
    names = [*declared.tables, *(name.removesuffix(".parquet") for name in declared.files)]
    return [TABLES[name] for name in names if name in TABLES]


def shared_columns(tables: Iterable[Table]) -> dict[str, Column]:
    """Return the columns that several tables have, by name; each in the form that most of them have."""
    forms = Counter(column for table in tables for column in table.columns)
    shared: dict[str, Column] = {}
    for column, count in forms.most_common():
        if count >= SHARED_BY:
            shared.setdefault(column.name, column)
    return shared


def _section(table: Table, stage: str, shared: dict[str, Column]) -> str:
    own = [column for column in table.columns if shared.get(column.name) != column]
    others = [f"`{column.name}`" for column in table.columns if column not in own]
    key = ", ".join(f"*{name}*" for name in table.key)
    lines = [
        f"### {table.name}\n",
        f"{table.row[0].upper()}{table.row[1:]}. Written by `{stage}`. Key: {key or 'none'}.",
    ]
    if others:
        lines.append(f"[Shared columns](#shared-columns): {', '.join(others)}.")
    return "\n".join([*lines, "", _grid(_row(column, column.name in table.key) for column in own)])


def _grid(rows: Iterable[str]) -> str:
    return "\n".join(["| column | type | unit | range | meaning |", "|---|---|---|---|---|", *rows, ""])


def _row(column: Column, in_key: bool) -> str:
    name = f"*{column.name}*" if in_key else column.name
    bounds = [("≥ ", column.low), ("≤ ", column.high)]
    limits = ", ".join(f"{sign}{bound:g}" for sign, bound in bounds if bound is not None)
    allowed = limits or ", ".join(column.options)
    kind = column.type + (", may be null" if column.nullable else "")
    return f"| {name} | {kind} | {column.unit} | {allowed} | {_cell(column.meaning)} |"


def _definitions() -> list[str]:
    groups = (("heads", HEADS), ("pairs of heads", PAIRS), ("the whole model", MODELS))
    return [
        "\n".join(
            [
                f"### Of {words}\n",
                "| metric | definition | unit | ideal | chance | null | gauge | meaning | source |",
                "|---|---|---|---|---|---|---|---|---|",
                *(_definition(entry) for entry in entries),
                "",
            ]
        )
        for words, entries in groups
    ]


def _definition(entry: Definition) -> str:
    levels = [level_in_words(number) for number in (entry.ideal, entry.chance)]
    gauge = "invariant" if entry.gauge_invariant else "depends"
    cells = [entry.metric, entry.definition, entry.unit, *levels, ", ".join(entry.nulls), gauge]
    return "| " + " | ".join([*cells, _cell(entry.meaning), _cell(entry.source)]) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _link(name: str) -> str:
    return f"[{name}](#{name})"


if __name__ == "__main__":
    print(page(), end="")
