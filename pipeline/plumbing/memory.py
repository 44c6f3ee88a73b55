"""Memory that a process frees: kept for the next tensor, where the system would have to clear it page by page again."""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LARGEST = 2**25  # bytes: of larger blocks glibc does not let go of its own will
KEPT = 2**28  # bytes that may lie free


def keep_freed() -> None:
    """Have glibc use freed blocks of up to 32 MiB again; another C library is left as it is.

    A training step makes and frees the same tensors every time: without this a sixth of it is the system's clearing of
    their pages. At most 256 MiB are kept; numbers do not depend on it.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, KEPT)


def release_freed() -> None:
    """Give back to the system what lies free, wherever it does: where all that comes has other sizes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
