"""How far a job of the workflow has come: its bars go to its log, and a line now and then to who called Snakemake."""

import os
import time
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

EVERY = 30.0  # seconds between two lines of a job


def tell_past_the_log(job: str, file: int = 3, every: float = EVERY) -> None:
    """Let every bar of this process also say its share done, rate and time left in a line.

    Args:
        job: who says it.
        file: descriptor of the workflow's own words; where it is not open, nothing is said.
        every: seconds between two lines; a job that ends sooner says nothing.
    """
    try:
        os.fstat(file)
    except OSError:
        return
    draw, said = tqdm.display, time.monotonic()

    def display(self: tqdm, msg: str | None = None, pos: int | None = None) -> None:
        nonlocal said
        if self.total and time.monotonic() - said >= every:
            said = time.monotonic()
            os.write(file, f"{job}: {line(self.format_dict)}\n".encode())
        draw(self, msg, pos)

    tqdm.display = display


def line(bar: Mapping[str, Any]) -> str:
    """Return a bar's state, tqdm's `format_dict`, in words."""
    done, total = bar["n"], bar["total"]
    rate = bar["rate"] or ((done - bar["initial"]) / bar["elapsed"] if bar["elapsed"] else 0)
    words = f"{100 * done / total:.0f}% of {bar['prefix'].removesuffix(': ') or bar['unit']}"
    if not rate:
        return words
    left = tqdm.format_interval((total - done) / rate)
    return f"{words}, {tqdm.format_sizeof(rate)} {bar['unit']}/s, {left} left"
