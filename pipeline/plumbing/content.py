"""What must be the same wherever a study is made: a digest of a table's values, and the list of a study's files.

A table's file also holds settings, code and versions, which differ where the values do not.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.plumbing import graph, intact
from pipeline.plumbing.artefacts import provenance_of


def content_of(path: Path) -> str:
    """Return the digest, in hexadecimal, of a table's columns: names, types and values, in the order of its key.

    Columns of seconds are left out. How rows are grouped and compressed, and the file's metadata, do not count.
    """
    with pq.ParquetFile(path, memory_map=True) as file:
        fields = [
            field for field in file.schema_arrow if not (field.metadata or {}).get(b"unit", b"").startswith(b"seconds")
        ]
        columns = {field.name: defaultdict(hashlib.sha256) for field in fields}
        for batch in file.iter_batches(columns=list(columns)):
            for name, digests in columns.items():
                for part, content in _parts(batch[name]):
                    digests[part].update(content)
    told = [
        [field.name, str(field.type), {part: digest.hexdigest() for part, digest in columns[field.name].items()}]
        for field in fields
    ]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def _parts(values: pa.Array, depth: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield what an array holds, each kind of thing by itself, so that it may come in pieces of any length."""
    yield f"{depth}valid", values.is_valid().to_numpy(zero_copy_only=False).tobytes()
    values = values.drop_null()
    if pa.types.is_list(values.type):
        yield f"{depth}length", pc.list_value_length(values).to_numpy().tobytes()
        yield from _parts(pc.list_flatten(values), f"{depth}member ")
    elif pa.types.is_string(values.type) and len(values):
        _, offsets, text = values.buffers()
        assert offsets is not None  # strings have both
        assert text is not None
        ends = np.frombuffer(offsets.to_pybytes(), np.int32)[values.offset : values.offset + len(values) + 1]
        yield f"{depth}length", np.diff(ends).tobytes()
        yield f"{depth}value", text[ends[0] : ends[-1]].to_pybytes()
    elif len(values):
        yield f"{depth}value", values.to_numpy(zero_copy_only=False).tobytes()


def rows_of(files: Iterable[Path], runs: Iterable[tuple[str, int, dict[str, str]]]) -> list[dict]:
    """Return a row of MANIFEST for each file: of a run's, one for each run that shares it.

    Args:
        files: in the folders of their jobs; records are left out.
        runs: experiment, seed, and the job of each stage.

    Raises:
        ValueError: a file is damaged, or not in its job's place.
    """
    users = defaultdict(list)
    for experiment, seed, ids in runs:
        for job in ids.items():
            users[job].append({"experiment": experiment, "seed": seed})
    makers = {name: stage for stage in graph.OF_A_STUDY for name in graph.writes_of(stage)}
    rows = []
    for file in (file for file in files if not file.name.endswith(intact.RECORD)):
        job = (file.parent.parent.name, file.parent.name)
        of_a_run = job in users
        stage = job[0] if of_a_run else makers[file.name]
        told = {"stage": stage, "file": file.name, "job": job[1] if of_a_run else None} | _told(file)
        rows += [user | told for user in (users[job] if of_a_run else [{"experiment": None, "seed": None}])]
    return rows


def _told(file: Path) -> dict[str, str | None]:
    """Return the digest of a file, and the versions that made it, which tables alone say."""
    if file.suffix != ".parquet":
        intact.check_beside(file)
        return {"digest": intact.said_digest(file), "versions": None}
    return {"versions": json.dumps(provenance_of(file)["versions"], sort_keys=True), "digest": content_of(file)}
