"""Which Snakemake makes which file, so that two in one folder never make the same, nor one what the other reads.

Snakemake's own locks outlive one that was killed, and go for both where one of two ends (so profiles/ says `nolock`).
The kernel's go with the process that holds them, however it ends.
"""

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from pipeline.plumbing.errors import ConfigError

LOCKS = Path("results/store/.making")  # a byte of it stands for each file; it stays empty
WORKING = LOCKS.with_name(".working")  # likewise, for jobs
FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, holder


def hold(made: Iterable[str], read: Iterable[str]) -> None:
    """Keep files that are to be made, and those that are to be read, from being made by others until this process ends.

    Raises:
        ConfigError: another process makes one of them, or reads one that is to be made; the line names both.
    """
    made = set(made)
    locks = os.open(LOCKS, os.O_RDWR | os.O_CREAT, 0o644)  # never closed, so never released before
    for files, kind in ((made, fcntl.F_WRLCK), (set(read) - made, fcntl.F_RDLCK)):
        for file in sorted(files):
            asked = _asked(kind, file)
            try:
                fcntl.fcntl(locks, fcntl.F_SETLK, asked)
            except (BlockingIOError, PermissionError) as error:
                holder = struct.unpack(FLOCK, fcntl.fcntl(locks, fcntl.F_GETLK, asked))[-1]
                raise ConfigError(
                    f"another snakemake, process {holder}, makes or reads {file}; run this again when that has ended"
                ) from error


def hold_alone(file: str) -> None:
    """Wait until no other job makes this file, then keep them from it until this process ends.

    Only a cluster has such others: jobs of a Snakemake that was killed go on there, while the next makes them anew.
    """
    WORKING.parent.mkdir(parents=True, exist_ok=True)
    fcntl.fcntl(os.open(WORKING, os.O_RDWR | os.O_CREAT, 0o644), fcntl.F_SETLKW, _asked(fcntl.F_WRLCK, file))


def _asked(kind: int, file: str) -> bytes:
    place = int.from_bytes(hashlib.sha256(file.encode()).digest()[:7])
    return struct.pack(FLOCK, kind, os.SEEK_SET, place, 1, 0)
