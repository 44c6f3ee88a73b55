"""Scores of attention patterns by their definitions, counted out entry by entry."""

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.models.closed_forms.mechanism import Followed

Name = tuple[str, str]  # metric, definition
Role = Callable[[Sequence[int], int], list[int]]  # tokens and a query -> the keys a head of this role looks at

_DETECTOR = {"detector_mul": "detector_mul", "detector_abs": "detector_abs"}
COUNTED = {  # by which definitions a role is scored, and which average each is; a mean is a mass of one key at most
    "previous_token": {"mean": "mass", **_DETECTOR},
    "current_token": {"mean": "mass"},
    "first_token": {"mean": "mass"},
    "duplicate_token": {"mass": "mass", **_DETECTOR},
    "induction": {"mass": "mass", "entry_mean": "entry_mean", "most_recent": "most_recent", **_DETECTOR},
}


def roles(first: int) -> dict[str, Role]:
    """Return which keys each role looks at; `first` is the first position that is not [BEGIN]."""
    return {
        "previous_token": lambda tokens, query: [query - 1] if query else [],
        "current_token": lambda tokens, query: [query],
        "first_token": lambda tokens, query: [0] if query else [],
        "duplicate_token": lambda tokens, query: [key for key in range(query) if tokens[key] == tokens[query]],
        "induction": lambda tokens, query: [key + 1 for key in range(first, query) if tokens[key] == tokens[query]],
    }


def scores(sentences: Sequence[Followed], layer: int, first: int, period: int | None) -> dict[Name, float]:
    """Return every score of one layer's pattern on a set of sentences; NaN where no query counts."""
    found = {}
    for metric, role in roles(first).items():
        rows = [
            (one.patterns[layer][query], role(one.tokens, query), query)
            for one in sentences
            for query in range(len(one.tokens))
        ]
        averages = _averages(rows)
        found |= {(metric, definition): averages[counted] for definition, counted in COUNTED[metric].items()}
    if period is not None:
        found["induction", "stripe"] = _mean(
            one.patterns[layer][query, query - period + 1]
            for one in sentences
            for query in range(period - 1, len(one.tokens))
        )
    return found


def _averages(rows: Sequence[tuple[np.ndarray, list[int], int]]) -> dict[str, float]:
    """Average attention [key] over queries, each with its keys, by every definition."""
    with_keys = [(row, keys) for row, keys, _ in rows if keys]
    return {
        "mass": _mean(sum(row[key] for key in keys) for row, keys in with_keys),
        "entry_mean": _mean(row[key] for row, keys in with_keys for key in keys),
        "most_recent": _mean(row[max(keys)] for row, keys in with_keys),
        "detector_mul": _mean(sum(row[key] for key in keys) for row, keys, _ in rows),
        "detector_abs": 1
        - _mean(sum(abs(row[key] - (key in keys)) for key in range(query + 1)) for row, keys, query in rows),
    }


def olsson(sentences: Sequence[Followed], layer: int, first: int, period: int) -> float:
    """Return 4 a / (a + s) - 1 for a head that writes to the logits, on the tokens before the first repeat."""
    values = []
    for one in sentences:
        sample = range(first, first + period)
        attended = total = 0.0
        for query in sample:
            logits = one.written[layer][query]
            rise = {key: max(0.0, logits[one.tokens[key]] - logits.mean()) for key in sample}
            row = one.patterns[layer][query]
            attended += sum(row[key] * rise[key] for key in sample)
            total += sum(row[key] for key in sample) * sum(rise.values())
        if attended + total > 0:
            values.append(4 * attended / (attended + total) - 1)
    return _mean(values)


def _mean(values) -> float:
    values = list(values)
    return float(sum(values) / len(values)) if values else float("nan")
