"""The terms of a head's scores that figures show: the notebooks' four, and the sum of all."""

from itertools import product

import pandas as pd

from pipeline.figures.style import BLUE, GREEN, ORANGE, PURPLE

REST_ALONE = " [BEGIN], where heads rest, counts as no key: rows are centred, and attention sums to 1, over the others."
COLOURS = (BLUE, GREEN, ORANGE, PURPLE)  # content-content, content-position, position-content, position-position


def term(frame: pd.DataFrame, query: str, key: str) -> pd.DataFrame:
    """Return the rows of one pair of sources."""
    return frame[(frame["query_source"] == query) & (frame["key_source"] == key)]


def rest_alone(frame: pd.DataFrame) -> str:
    """Return what a caption says of rows that leave [BEGIN] out; nothing of rows over all keys."""
    return REST_ALONE if (frame["keys"] == "no_begin").any() else ""


def total(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the sum of all terms."""
    return term(frame, "total", "total")


def four_terms_of(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the terms of one layer's heads by name, `stream-position` and so on; the layer's own sources only.

    Stream is everything but position. In layer 0 that is the token, and is called so.
    """
    present = set(frame["query_source"])
    content = "stream" if "stream" in present else "token"
    names = {content: "token" if (frame["layer"] == 0).all() else content, "position": "position"}
    pairs = product([source for source in names if source in present], repeat=2)
    return {f"{names[query]}-{names[key]}": term(frame, query, key) for query, key in pairs}
