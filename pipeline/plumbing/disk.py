"""A disk that is full, or that may not be written, in one line. Needs the standard library alone."""

import errno
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

FULL = {errno.ENOSPC: "make room there", errno.EDQUOT: "make room there", errno.EFBIG: "raise `ulimit -f`"}
SHUT = (errno.EROFS, errno.EACCES, errno.EPERM)


def told(error: Exception, path: Path, size: int = 0, written: int = 0) -> str | None:
    """Return what a person can do about an error met while `path` was written; None if the disk is not the reason.

    Args:
        error: an OSError, or another package's whose text quotes one.
        path: what was to be written, a file or a folder.
        size: how large that is (bytes); 0 where it is not known.
        written: how much of it there was when the error came (bytes).
    """
    quoted = re.search(r"\(os error (\d+)\)", str(error))  # as safetensors has it
    number = error.errno if isinstance(error, OSError) else int(quoted[1]) if quoted else None
    folder = _folder_of(path)
    mounted = next(place for place in (folder, *folder.parents) if os.path.ismount(place))
    if number in FULL:
        needs = f"needs {_mb(size)}, and " if size else f"needs more than {_mb(written)}, and " if written else ""
        room = f"{needs}the disk at {mounted} has {_mb(shutil.disk_usage(folder).free)} free"
        return f"{path}: {os.strerror(number)}: {room}; {FULL[number]} and run again"
    if number in SHUT and not os.access(folder, os.W_OK):
        refused = f"{folder}, on the disk at {mounted}, may not be written"
        return f"{path}: {os.strerror(number)}: {refused}; make it writable, or work in another folder"
    return None


def shut(files: Iterable[str]) -> str | None:
    """Return the line of the first of these files that may not be written, for its folder may not; None if all may."""
    for path in map(Path, files):
        if not os.access(folder := _folder_of(path), os.W_OK):
            read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
            return told(OSError(errno.EROFS if read_only else errno.EACCES, "shut"), path)
    return None


def _folder_of(path: Path) -> Path:
    """Return the folder that a path is or will be in: the nearest that is there."""
    # Not Path's own is_dir, which raises where a folder may not be looked into.
    return next(place for place in path.absolute().parents if os.path.isdir(place))


def _mb(size: int) -> str:
    return f"{size / 1e6:.3f} MB"
