"""What a table makes of rows that a test writes down: it keeps them, sorted, or refuses them in a line."""

import pytest
from made_up_rows import filled

from pipeline.plumbing.artefacts import Paths, read, write


@pytest.fixture
def kept(tmp_path):
    def read_back(table, *rows):
        paths = Paths([tmp_path / f"{table.name}.parquet"], "{}")
        write(table, filled(table, rows), paths)
        return read(table, paths)

    return read_back


@pytest.fixture
def refusal(tmp_path):
    def line(table, *rows):
        with pytest.raises(ValueError, match=f"^table {table.name}") as error:
            write(table, filled(table, rows), Paths([tmp_path / f"{table.name}.parquet"], "{}"))
        return str(error.value).removeprefix(f"table {table.name}").lstrip(",: ")

    return line
