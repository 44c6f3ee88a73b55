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
            asked = struct.pack(FLOCK, kind, os.SEEK_SET, _place_of(file), 1, 0)
            try:
                fcntl.fcntl(locks, fcntl.F_SETLK, asked)
            except (BlockingIOError, PermissionError) as error:
                holder = struct.unpack(FLOCK, fcntl.fcntl(locks, fcntl.F_GETLK, asked))[-1]
                raise ConfigError(
                    f"another snakemake, process {holder}, makes or reads {file}; run this again when that has ended"
                ) from error


def _place_of(file: str) -> int:
    return int.from_bytes(hashlib.sha256(file.encode()).digest()[:7])
