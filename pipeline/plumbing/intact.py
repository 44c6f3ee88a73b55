"""Whether a file is as it was written, and in its own job's place.

A table has its digest in its own metadata, over all its other bytes, so that it is checked before a damaged one is
parsed. Any other file has it in a record beside it, for it may be a link to a person's own; the figures of a folder
have one record. Both say what the file was made from: a digest of all that its job read, by who made that.
"""

import hashlib
import json
import mmap
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

RECORD = ".made.json"  # ends the name of a file's record
FIGURES = (".svg", ".png")
SIGN, HOLE = b"sha256:", b"0" * 64
BLANK = (SIGN + HOLE).decode()  # what a table's metadata says of its digest until it is sealed
# The folders of jobs; what a job has done so far is in a hidden one, and no other job's to read.
MADE = re.compile(r"results/(?:store/\w+/[0-9a-f]{12}|studies/[^/]+)(?=/)(?!.*/\.)")


def seal(path: Path) -> None:
    """Put the digest of a table's file, whose metadata has BLANK last, into it."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        start = content.rfind(SIGN) + len(SIGN)
        content[start : start + len(HOLE)] = _digest_around(content, start)


def check_sealed(path: Path) -> None:
    """Hold a table's file against the digest in it.

    Raises:
        ValueError: it is missing, damaged, or was never sealed.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = content.rfind(SIGN) + len(SIGN)
            good = content[start : start + len(HOLE)] == _digest_around(content, start)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise ValueError(f"{path}: cannot be read as a table ({error}); {mend(path)}") from error
    if not good:
        raise ValueError(f"{path}: damaged, it is not what was written; {mend(path)}")


def _digest_around(content: mmap.mmap, start: int) -> bytes:
    """Return the digest, in hexadecimal, of all bytes but those where it is to stand."""
    with memoryview(content) as view:
        digest = hashlib.sha256(view[:start])
        digest.update(view[start + len(HOLE) :])
    return digest.hexdigest().encode()


def beside(path: Path) -> Path:
    """Return where the record of a file that is no table is kept."""
    return path.with_name(("figures" if path.suffix in FIGURES else path.name) + RECORD)


def record_of(paths: list[Path], spec: str, made_from: str) -> str:
    """Return what is kept beside a file, or figures, of one job: digests, the job whose spec this is, what it read."""
    digests = {path.name: digest_of(path) for path in paths}
    kept = digests if paths[0].suffix in FIGURES else digests[paths[0].name]
    return json.dumps({"job": _job_in(spec), "made_from": json.loads(made_from), "sha256": kept}) + "\n"


def made_from(paths: Iterable[Path]) -> str:
    """Return, as JSON, a digest of all files of each stage among what a job reads, of a study, and of a person's own.

    Raises:
        ValueError: a file does not say what its bytes are to be.
    """
    groups = defaultdict(list)
    for path in (path for path in paths if not path.name.endswith(RECORD)):
        groups[maker_of(path)].append([path.name, said_digest(path)])
    digests = {maker: hashlib.sha256(json.dumps(sorted(of_it)).encode()) for maker, of_it in sorted(groups.items())}
    return json.dumps({maker: digest.hexdigest() for maker, digest in digests.items()})


def maker_of(path: Path) -> str:
    """Return the stage that made a file of the store, "studies" for a study's, "own files" for a person's."""
    place = place_of(path)
    return "own files" if place is None else place.split("/")[-2]


def said_digest(path: Path) -> str:
    """Return the digest that a table, or the record beside another file, has; without a record, that of its bytes.

    Raises:
        ValueError: the file is missing, or has none.
    """
    try:
        if path.suffix == ".parquet":
            with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                start = content.rfind(SIGN) + len(SIGN)
                return content[start : start + len(HOLE)].decode("latin-1")  # whatever a damaged one has there
        return _digest_in(_record(path), path) if beside(path).exists() else digest_of(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); {mend(path)}") from error


def _record(path: Path) -> dict:
    return json.loads(beside(path).read_text(encoding="utf-8"))


def _digest_in(record: dict, path: Path) -> str:
    return record["sha256"][path.name] if path.suffix in FIGURES else record["sha256"]


def digest_of(path: Path) -> str:
    """Return the digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_beside(path: Path) -> dict[str, str]:
    """Hold a file against the record beside it; outside the folders of jobs there need be none.

    Returns:
        what it was made from.

    Raises:
        ValueError: it is missing, damaged or another job's, or its record is.
    """
    if place_of(path) is None and not beside(path).exists():
        return {}
    try:
        record = _record(path)
        good = _digest_in(record, path) == digest_of(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: it, or {beside(path).name}, cannot be read ({error}); {mend(path)}") from error
    if not good:
        raise ValueError(f"{path}: damaged, it is not what was written; {mend(path)}")
    _check_place(path, record.get("job"))
    return record.get("made_from", {})


def check_job(path: Path, spec: str) -> None:
    """Refuse a file in the folder of a job that did not make it.

    Raises:
        ValueError: another job made it; the line names both.
    """
    _check_place(path, _job_in(spec))


def _check_place(path: Path, job: str | None) -> None:
    place = place_of(path)
    if place not in (None, job):
        raise ValueError(f"{path}: is not of {place} but of {job}; {mend(path)}")


def _job_in(spec: str) -> str | None:
    """Return the job that a spec is of; None where it does not say."""
    told = json.loads(spec)
    return told.get("job") if isinstance(told, dict) else None


def place_of(path: Path) -> str | None:
    """Return the folder of the job that a path is in; None outside the results."""
    found = MADE.findall(path.absolute().as_posix())
    return found[-1] if found else None


def mend(path: Path) -> str:
    """Return what to do about a file that is not as it must be."""
    if place_of(path) is None:
        return "delete it and run again"
    return f"make it again: snakemake --forcerun {path} --config study=..."
