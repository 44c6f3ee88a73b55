"""Whether a file is as it was written, and in its own job's place.

A table has its digest in its own metadata, over all its other bytes, so that it is checked before a damaged one is
parsed. Any other file has it in a record beside it, for it may be a link to a person's own.
"""

import hashlib
import json
import mmap
import re
from pathlib import Path

RECORD = ".made.json"  # ends the name of a file's record
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
    return path.with_name(path.name + RECORD)


def record_of(path: Path, spec: str) -> str:
    """Return what is kept beside a file: its digest, and the job whose spec this is."""
    return json.dumps({"job": _job_in(spec), "sha256": digest_of(path)}) + "\n"


def digest_of(path: Path) -> str:
    """Return the digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded_digest(path: Path) -> str:
    """Return the digest of a file that is no table, which is held against its record first; raises as that does."""
    check_beside(path)
    return json.loads(beside(path).read_text(encoding="utf-8"))["sha256"]


def check_beside(path: Path) -> None:
    """Hold a file against the record beside it; outside the folders of jobs there need be none.

    Raises:
        ValueError: it is missing, damaged or another job's, or its record is.
    """
    if place_of(path) is None and not beside(path).exists():
        return
    try:
        record = json.loads(beside(path).read_text(encoding="utf-8"))
        good = record["sha256"] == digest_of(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: it, or {beside(path).name}, cannot be read ({error}); {mend(path)}") from error
    if not good:
        raise ValueError(f"{path}: damaged, it is not what was written; {mend(path)}")
    _check_place(path, record.get("job"))


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
