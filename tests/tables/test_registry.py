from pipeline.plumbing import graph
from pipeline.tables.registry import OF_A_RUN, OF_JUDGE, TABLES


def test_tables_are_found_by_their_names():
    assert all(table.name == name for name, table in TABLES.items())


def test_readers_find_what_the_stages_declare():
    assert {table.name for tables in OF_A_RUN.values() for table in tables} | {"runs"} == set(
        graph.tables_of("summarise")
    )
    assert [table.name for table in OF_JUDGE] == graph.tables_of("judge")


def test_what_only_stages_read_is_not_for_readers():
    shown = {table.name for tables in OF_A_RUN.values() for table in tables}
    assert not shown & {"tokens", "sequences", "weights"}
