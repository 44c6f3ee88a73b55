"""Heads by name and by role: which ones a figure shows."""

import pandas as pd

from pipeline.claims.best_heads import best_head
from pipeline.claims.keys import head_name

Head = tuple[int, int]
MOST = 24  # heads that a figure lists by name
LEADING = {"previous_token": "best previous-token head", "induction": "best induction head"}


def name(head: Head) -> str:
    """Return `layer.head`."""
    return head_name(*head)


def names_of(frame: pd.DataFrame) -> list[str]:
    """Return the name of every row's head."""
    return [name(head) for head in zip(frame["layer"], frame["head"], strict=True)]


def first_seed(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the smallest seed."""
    return frame[frame["seed"] == frame["seed"].min()]


def of_head(frame: pd.DataFrame, head: Head) -> pd.DataFrame:
    """Return the rows of one head."""
    return frame[(frame["layer"] == head[0]) & (frame["head"] == head[1])]


def heads_of(frame: pd.DataFrame) -> list[Head]:
    """Return every head a table speaks of, in order."""
    return [
        tuple(pair) for pair in frame[["layer", "head"]].drop_duplicates().sort_values(["layer", "head"]).to_numpy()
    ]


def listed_heads(frame: pd.DataFrame, by: str, words: str) -> tuple[list[Head], str]:
    """Return the heads that a figure lists, in order, and what its caption says of the others.

    Args:
        frame: rows of heads.
        by: of more heads than can be listed, those are in which this column is largest in size.
        words: what that column is.
    """
    every = heads_of(frame)
    if len(every) <= MOST:
        return every, ""
    sizes = frame[by].abs().groupby([frame["layer"], frame["head"]]).max().dropna()
    listed = [(int(layer), int(head)) for layer, head in sizes.nlargest(MOST).index]
    return sorted(listed), f" Of {len(every)} heads, the {MOST} with the largest {words}."


def leading_head(head_scores: pd.DataFrame, role: str) -> tuple[Head, float] | None:
    """Return the first seed's best head in a role, and its score; None if no head was scored."""
    best = best_head(first_seed(head_scores), role)
    return None if best is None else ((int(best["layer"]), int(best["head"])), float(best["value"]))


def leading_heads(head_scores: pd.DataFrame) -> dict[Head, str]:
    """Return the best previous-token head and the best induction head, each with what it is best at, and how good."""
    leading: dict[Head, str] = {}
    for role, words in LEADING.items():
        if (best := leading_head(head_scores, role)) is not None:
            head, score = best
            words = f"{words} ({score:.2f})"
            leading[head] = f"{leading[head]} and {words}" if head in leading else words
    return leading
