import re
from pathlib import Path

import pytest

from pipeline.circuits.definitions.registry import DEFINITIONS
from pipeline.documentation.tables import ORDER, page, shared_columns, tables_of
from pipeline.plumbing import graph
from pipeline.plumbing.schema import Column, Table
from pipeline.tables.registry import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"


@pytest.fixture(scope="module")
def printed():
    return page()


def test_the_page_is_what_the_code_declares(printed):
    assert PAGE.read_text() == printed, "python -m pipeline.documentation.tables > docs/tables.md"


def test_every_stage_that_writes_a_table_is_in_the_reading_order():
    assert {stage for stage in graph.STAGES if tables_of(stage)} == {stage for stage, _ in ORDER}


def test_every_table_has_one_section_and_every_link_a_target(printed):
    names = [table.name for stage, _ in ORDER for table in tables_of(stage)]
    headings = re.findall(r"^### (\w+)$", printed, re.M)
    assert sorted(headings) == sorted(names) == sorted(TABLES)
    targets = {*names, "shared-columns", "definitions"}
    assert set(re.findall(r"\]\(#([\w-]+)\)", printed)) == targets


def test_every_definition_has_one_row(printed):
    listed = re.findall(r"^\| (\w+) \| (\w+) \|", printed.split("## Definitions")[1], re.M)
    assert sorted(name for name in listed if name != ("metric", "definition")) == sorted(DEFINITIONS)


def test_columns_that_three_tables_have_are_explained_once():
    def table(*meanings):
        columns = [Column(f"c{place}", "int64", "count", meaning) for place, meaning in enumerate(meanings)]
        return Table("made_up", "a row", (), tuple(columns))

    shared = shared_columns([table("same", "a"), table("same", "b"), table("same", "c"), table("other", "d")])
    assert {name: column.meaning for name, column in shared.items()} == {"c0": "same"}
