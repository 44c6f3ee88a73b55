"""Bytes of results are flipped, zeroed and lost: no number is read but the one that was written."""

import json
import random
from collections import Counter
from itertools import chain, product

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from pipeline.plumbing import intact
from pipeline.plumbing.artefacts import Paths, read, recorded, write
from pipeline.tables.registry import TABLES

JOB = "results/store/score/0123456789ab"
ROWS = 6


def values(column, place):
    """A value that a column may hold, another in every row where there are several."""
    if column.type == "string":
        return column.options[place % len(column.options)] if column.options else f"{column.name} {place}"
    if column.type == "bool":
        return place % 2 == 0
    low = column.low if column.low is not None else 0
    high = column.high if column.high is not None else low + ROWS
    number = low + (high - low) * place / ROWS
    if column.type.startswith("list"):
        return [number] * 3 if "float" in column.type else [int(number)] * 3
    return number if column.type == "float64" else int(low) + place


def made(table, folder):
    """A file of this table with a few rows, in the folder of a job."""
    rows = [{column.name: values(column, place) for column in table.columns} for place in range(ROWS)]
    frame = pd.DataFrame(rows)
    for column in table.columns:
        if column.high is not None and column.type.startswith("int"):
            frame[column.name] = frame[column.name].clip(upper=int(column.high))
    paths = Paths([folder / JOB / f"{table.name}.parquet"], json.dumps({"job": JOB}))
    write(table, frame.drop_duplicates(subset=list(table.key) or None), paths)
    return paths


def spoilt(content, generator):
    """The same bytes with one flipped, some zeroed, or some lost."""
    content, place = bytearray(content), generator.randrange(len(content))
    how = generator.choice(["flip", "byte", "zero", "cut"])
    if how == "flip":
        content[place] ^= 1 << generator.randrange(8)
    elif how == "byte":
        content[place] = generator.randrange(256)
    elif how == "zero":
        content[place : place + 16] = bytes(len(content[place : place + 16]))
    else:
        del content[place : place + 1 + generator.randrange(64)]
    return bytes(content)


def outcome(spoil, file, read_it, equal):
    """What comes of a damaged file: it is caught, harmless, read as other values, or a traceback."""
    whole = file.read_bytes()
    expected = read_it()
    file.write_bytes(damaged := spoil(whole))
    try:
        found = "harmless" if equal(read_it(), expected) else "other values"
        if found == "harmless" and damaged != whole:
            found = "harmless, but not seen"
    except ValueError as error:
        named = str(file).removesuffix(".made.json") in str(error)
        one_line = "\n" not in str(error) and named and "snakemake --forcerun" in str(error)
        found = "caught" if one_line else f"not one line: {error}"
    except Exception as error:
        found = f"traceback: {error!r}"
    file.write_bytes(whole)
    return found


def of_tables(folder, tables, times, generator):
    for table in tables:
        paths = made(table, folder)
        for _ in range(times):
            yield outcome(
                lambda whole: spoilt(whole, generator),
                paths.files[0],
                lambda table=table, paths=paths: read(table, paths),
                pd.DataFrame.equals,
            )


def of_others(folder, times, generator):
    """The same of files that are no tables, and of the records beside them."""
    paths = Paths([folder / JOB / name for name in ("model.safetensors", "config.json")], json.dumps({"job": JOB}))
    with recorded(paths, "model.safetensors") as temporary:
        save_file({"W": torch.arange(12.0)}, temporary)
    with recorded(paths, "config.json") as temporary:
        temporary.write_text('{"n_layers": 2}')
    for path, beside in product(paths.files, (False, True)):
        for _ in range(times):
            yield outcome(
                lambda whole: spoilt(whole, generator),
                intact.beside(path) if beside else path,
                lambda path=path: paths.whole(path.name).read_bytes(),
                bytes.__eq__,
            )


def counted(folder, tables, times):
    generator = random.Random(0)
    counts = Counter(chain(of_tables(folder, tables, times, generator), of_others(folder, times, generator)))
    print(dict(counts))
    return counts


def test_no_damage_is_read_as_other_numbers(tmp_path):
    counts = counted(tmp_path, TABLES.values(), 3)
    assert set(counts) <= {"caught", "harmless", "harmless, but not seen"}
    assert counts["caught"] > 0.9 * counts.total() > 90


@pytest.mark.slow
def test_no_damage_of_thousands_is_read_as_other_numbers(tmp_path):
    counts = counted(tmp_path, TABLES.values(), 100)
    assert counts.total() > 2000
    assert set(counts) <= {"caught", "harmless", "harmless, but not seen"}
    assert counts["caught"] > 0.9 * counts.total()


@pytest.mark.parametrize("name", ["head_scores", "weights"])
def test_every_byte_of_a_table_counts(name, tmp_path):
    """Flipped one by one, at the ends of the file and evenly between."""
    paths = made(TABLES[name], tmp_path)
    whole = paths.files[0].read_bytes()
    places = {*range(64), *range(len(whole) - 400, len(whole)), *range(0, len(whole), len(whole) // 200)}
    for place in places:

        def flipped(whole, place=place):
            return whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]

        found = outcome(flipped, paths.files[0], lambda: read(TABLES[name], paths), pd.DataFrame.equals)
        assert found == "caught", (place, found)
