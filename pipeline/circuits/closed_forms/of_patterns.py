"""Scores of attention patterns by their definitions, counted out entry by entry."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from pipeline.circuits.closed_forms.case import Case
from pipeline.circuits.closed_forms.expected import DISTRACTED, ROUNDING, TIES, UNDEFINED, Expected
from pipeline.circuits.closed_forms.mechanism import Followed

Row = Float[np.ndarray, " key"]  # a query's attention
Looked = tuple[Row, list[int], int]  # the row, the keys it should look at, and the query


def _after(prefix: int) -> Callable[[Sequence[int], int, int], list[int]]:
    """Return which keys follow an earlier occurrence of the query's last tokens."""

    def keys(tokens: Sequence[int], query: int, first: int) -> list[int]:
        wanted = tokens[query - prefix + 1 : query + 1]
        ends = range(first + prefix - 1, query)
        return [end + 1 for end in ends if list(tokens[end - prefix + 1 : end + 1]) == list(wanted)]

    return keys


ROLES: dict[str, Callable[[Sequence[int], int, int], list[int]]] = {  # of tokens, a query, and the first real position
    "previous_token": lambda tokens, query, first: [query - 1] if query else [],
    "current_token": lambda tokens, query, first: [query],
    "first_token": lambda tokens, query, first: [0] if query else [],
    "duplicate_token": lambda tokens, query, first: [key for key in range(query) if tokens[key] == tokens[query]],
    "induction": _after(1),
    "match_2": _after(2),
    "match_3": _after(3),
}


def counted(role: str, average: str) -> Callable[[Case], float]:
    """Return the closed form of a role's score by one way of averaging; NaN where no query counts.

    Args:
        role: of ROLES.
        average: mass, entry_mean, most_recent, detector_mul or detector_abs; see `head_patterns`.
    """

    def closed_form(case: Case) -> float:
        return AVERAGES[average](_looked(case, role))

    return closed_form


def without_begin(closed_form: Callable[[Case], Expected]) -> Callable[[Case], Expected]:
    """Return the closed form of a score of attention given that it does not rest on [BEGIN].

    Sentences are then read without it: each later query's attention to later keys, over its sum.
    """

    def rest(sentence: Followed) -> Followed:
        patterns = [np.array(pattern)[1:, 1:] for pattern in sentence.patterns]
        return replace(
            sentence,
            tokens=sentence.tokens[1:],
            patterns=[pattern / pattern.sum(-1, keepdims=True) for pattern in patterns],
            written=[written[1:] for written in sentence.written],
            logits=sentence.logits[1:],
        )

    return lambda case: closed_form(replace(case, sentences=[rest(sentence) for sentence in case.sentences], first=0))


def stripe(case: Case) -> float:
    """Mean of the diagonal one short of the period."""
    return _mean(
        sentence.patterns[case.layer][query, query - case.block + 1]
        for sentence in case.sentences
        for query in range(case.block - 1, len(sentence.tokens))
    )


def olsson(case: Case) -> Expected:
    """4 a / (a + s) - 1 for a head that writes to the logits, on the tokens before the first repeat."""
    if case.wiring.moves[1] != "token":
        return UNDEFINED if case.construction.basis == "one_hot" else ROUNDING
    values = []
    for sentence in case.sentences:
        sample = range(case.first, case.first + case.block)
        attended = total = 0.0
        for query in sample:
            logits = sentence.written[case.layer][query]
            rise = {key: max(0.0, logits[sentence.tokens[key]] - logits.mean()) for key in sample}
            row = sentence.patterns[case.layer][query]
            attended += sum(row[key] * rise[key] for key in sample)
            total += sum(row[key] for key in sample) * sum(rise.values())
        if attended + total > 0:
            values.append(4 * attended / (attended + total) - 1)
    return _mean(values) if values else UNDEFINED


def distance(case: Case) -> float:
    """Mean number of positions that attention goes back."""
    return _mean(sum(row[key] * (query - key) for key in range(query + 1)) for row, query in _rows(case))


def entropy(case: Case) -> float:
    """Mean entropy of attention over that of even attention."""
    entropies = [-sum(p * math.log(p) for p in row if p > 0) for row, _ in _rows(case)]
    return _mean(entropies) / _mean(math.log(query + 1) for _, query in _rows(case))


def inactivity(case: Case) -> Expected:
    """Of the only head of its layer, none; of several, distractors decide."""
    return 0.0 if case.construction.n_heads == 1 else DISTRACTED


def fuzzy(case: Case) -> Expected:
    """Embeddings of wired networks are all at right angles, and none is nearer than another."""
    return TIES if case.period is None else math.nan


def attended_logit(case: Case) -> float:
    """What the head adds to the logits of the tokens attended to, less their mean; 0 if it writes to no logits."""
    return _rises(case, lambda written, attended: (written * attended).sum(-1).mean())


def chosen_logit(case: Case) -> float:
    """The same without what the mean output of each sentence adds to what it attends to on average."""

    def apart(written: np.ndarray, attended: np.ndarray) -> float:
        return ((written - written.mean(0)) * (attended - attended.mean(0))).sum(-1).mean()

    return _rises(case, apart)


def _rises(case: Case, of_sentence: Callable[[np.ndarray, np.ndarray], float]) -> float:
    """Average over sentences what is made of [query, token]: logits written, less their mean, and attention to each."""
    if case.wiring.moves[1] != "token":
        return 0.0
    rises = []
    for sentence in case.sentences:
        logits, pattern = (of[case.layer][case.first :] for of in (sentence.written, sentence.patterns))
        seen = np.eye(logits.shape[1])[list(sentence.tokens[case.first :])]
        rises.append(of_sentence(logits - logits.mean(-1, keepdims=True), pattern[:, case.first :] @ seen))
    return _mean(rises)


def previous_attention(case: Case, layer: int) -> float:
    """Mean attention of a layer's head to the token before, on text."""
    rows = (
        sentence.patterns[layer][query, query - 1] for sentence in case.text for query in range(1, len(sentence.tokens))
    )
    return _mean(rows)


def _rows(case: Case) -> list[tuple[Row, int]]:
    return [
        (sentence.patterns[case.layer][query], query)
        for sentence in case.sentences
        for query in range(len(sentence.tokens))
    ]


def _looked(case: Case, role: str) -> list[Looked]:
    return [
        (sentence.patterns[case.layer][query], ROLES[role](sentence.tokens, query, case.first), query)
        for sentence in case.sentences
        for query in range(len(sentence.tokens))
    ]


def _distance(row: Row, keys: list[int], query: int) -> float:
    return sum(abs(row[key] - (key in keys)) for key in range(query + 1))


AVERAGES: dict[str, Callable[[list[Looked]], float]] = {
    "mass": lambda looked: _mean(sum(row[key] for key in keys) for row, keys, _ in looked if keys),
    "entry_mean": lambda looked: _mean(row[key] for row, keys, _ in looked for key in keys),
    "most_recent": lambda looked: _mean(row[max(keys)] for row, keys, _ in looked if keys),
    "detector_mul": lambda looked: _mean(sum(row[key] for key in keys) for row, keys, _ in looked),
    "detector_abs": lambda looked: 1 - _mean(_distance(*of_query) for of_query in looked),
}


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return float(sum(values) / len(values)) if values else math.nan
