"""A study runs the code that it started with: a copy of it, named by its content, which nothing edits.

Jobs of a running study start one after another, for hours, and on a cluster each reads the Snakefile anew. What is
edited meanwhile waits for the next call. The Snakefile runs this file before it imports anything of the package, so
it needs the standard library alone.
"""

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from runpy import run_path

STORE = Path("results/store/frozen")
FROZEN = ("pipeline", "workflow", "conf", "environment.yml")
ENDINGS = (".py", ".smk", ".rst", ".yaml", ".yml", ".js", ".css", ".txt")
LOCK = ".lock"  # of a copy; held by each study that runs it
KEPT = 20  # copies; older ones go, unless a study runs them


def freeze(home: Path) -> Path:
    """Return the folder of an exact copy of the code and configuration at `home`, held until this process ends.

    Raises:
        SystemExit: the copy is there but was edited, or the disk is full or may not be written; the line says what to
            do.
    """
    _enter()
    contents = _contents(home)
    name = _name(contents)
    copy = STORE / name
    with _told(copy, sum(map(len, contents.values()))):
        if not copy.exists():
            _write(contents, copy)
        elif _name(_contents(copy)) != name:
            raise SystemExit(f"{copy} is a copy of the code and was edited; delete it, and edit {home} instead")
        _hold(copy)
        _prune(copy)
    return copy.resolve()


def keep(text: str, copy: Path) -> Path:
    """Write a plan beside the code that made it, named by its content; return its file.

    Raises:
        SystemExit: the disk is full or may not be written; the line says what to do.
    """
    file = copy / "plans" / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    if file.exists():
        with _told(file, 0):
            os.utime(file)  # of a study's plans, the latest is the one that it followed last
    else:
        put(text, file)
    return file


def put(text: str, file: Path) -> None:
    """Write a file beside frozen code, whole or not at all; raises as `keep`."""
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    with _told(file, len(text.encode())):
        file.parent.mkdir(exist_ok=True)
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)


def put_on_paths(copy: Path) -> None:
    """Let jobs find the frozen code, and this Python's packages even where its environment is not activated."""
    # Not in a job's command: Snakemake compares that.
    for name, folder in (("PYTHONPATH", copy), ("PATH", Path(sys.executable).parent)):
        os.environ[name] = os.pathsep.join(filter(None, [str(folder), os.environ.get(name)]))


def _enter() -> None:
    """Say until this process ends that a study may be running, and wait while results are being removed."""
    with _told(STORE, 0):
        STORE.mkdir(parents=True, exist_ok=True)
        fcntl.flock(os.open(STORE, os.O_RDONLY), fcntl.LOCK_SH)  # never closed, so never released before


@contextmanager
def _told(path: Path, size: int) -> Iterator[None]:
    """Tell of a disk that a file or folder of so many bytes cannot be written to."""
    try:
        yield
    except OSError as error:
        told = run_path(str(Path(__file__).with_name("disk.py")))["told"]  # there is no package yet
        raise SystemExit(told(error, path, size) or str(error)) from error


def _contents(home: Path) -> dict[str, bytes]:
    """Return every frozen file by its place below `home`."""
    roots = [home / name for name in FROZEN]
    files = [file for root in roots for file in ([root] if root.is_file() else root.rglob("*"))]
    return {file.relative_to(home).as_posix(): file.read_bytes() for file in sorted(files) if file.suffix in ENDINGS}


def _name(contents: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for place, content in contents.items():
        digest.update(f"{place}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _write(contents: dict[str, bytes], copy: Path) -> None:
    """Write a copy, whole or not at all; if another process was faster, its copy is the same."""
    temporary = copy.with_name(f".{copy.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    try:
        with (temporary / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)  # or another process would take it for what a killed one left
            for place, content in contents.items():
                file = temporary / place
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                file.chmod(0o444)  # messages name these files; to edit one would be a mistake
            with suppress(OSError):
                temporary.rename(copy)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _hold(copy: Path) -> None:
    """Say that a process runs this copy, until it ends, however it ends."""
    os.utime(copy)
    fcntl.flock(os.open(copy / LOCK, os.O_RDONLY), fcntl.LOCK_SH)  # never closed, so never released before


def _prune(mine: Path) -> None:
    """Remove all but the latest copies, those that a process holds, and what killed processes left."""
    others = sorted(STORE.iterdir(), key=_made_at, reverse=True)
    halves = [copy for copy in others if copy.name.startswith(".")]
    for old in [*halves, *[copy for copy in others if copy not in (mine, *halves)][KEPT:]]:
        with suppress(OSError), (old / LOCK).open() as lock:  # held, or another process removes it just now
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(old)


def _made_at(copy: Path) -> float:
    try:
        return copy.stat().st_mtime
    except FileNotFoundError:  # another process renamed or removed it just now
        return 0.0
