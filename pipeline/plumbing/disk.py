"""A disk that is full, or that may not be written, in one line. Needs the standard library alone."""

import errno
import os
import re
import shutil
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
    # Not Path's own, which raise where a folder may not be looked into.
    folder = next(place for place in path.absolute().parents if os.path.isdir(place))
    mounted = next(place for place in (folder, *folder.parents) if os.path.ismount(place))
    if number in FULL:
        needs = f"needs {_mb(size)}, and " if size else f"needs more than {_mb(written)}, and " if written else ""
        room = f"{needs}the disk at {mounted} has {_mb(shutil.disk_usage(folder).free)} free"
        return f"{path}: {os.strerror(number)}: {room}; {FULL[number]} and run again"
    if number in SHUT and not os.access(folder, os.W_OK):
        refused = f"{folder}, on the disk at {mounted}, may not be written"
        return f"{path}: {os.strerror(number)}: {refused}; make it writable, or work in another folder"
    return None


def _mb(size: int) -> str:
    return f"{size / 1e6:.3f} MB"
