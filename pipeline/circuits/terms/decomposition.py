"""One head taken apart: every statistic of every term of its scores, with intervals over sentences."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from itertools import chain

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from pipeline.circuits.resampling import interval
from pipeline.circuits.terms.sources import QueriesKeys, streams, terms
from pipeline.circuits.terms.term_statistics import HeadScores, term_statistics, term_sums
from pipeline.circuits.transformer.attention import scores

TOTAL = ("total", "total")


@dataclass(frozen=True)
class Decomposition:
    """The terms of one head's scores: by source, by the notebook's grouping, and `total`."""

    pairs: list[tuple[str, str]]  # the term axis: query source, key source
    statistics: list[tuple[str, str]]  # the statistic axis: statistic, component; see term_statistics
    value: Float64[Tensor, "term statistic"]
    lo: Float64[Tensor, "term statistic"]  # lower end of the interval over sentences; NaN for one sentence
    hi: Float64[Tensor, "term statistic"]  # its upper end, likewise
    offset_score: Float64[Tensor, "term offset"]  # mean row-centred score by query - key
    offset_pattern: Float64[Tensor, " offset"]  # mean attention by query - key


def decompose(
    sources: QueriesKeys,
    tokens: Int[Tensor, "batch position"],
    counts: Float64[Tensor, "resample batch"],
    confidence: float,
) -> Decomposition:
    """Take one head apart, one term at a time.

    Args:
        sources: what each gives its queries and keys, [batch, position, d_head] each; together, its scores.
        tokens: of the sentences.
        counts: how often each sentence comes in each resample; see resampled_counts.
        confidence: of the intervals over sentences.
    """
    grouped = streams(sources)
    query, key = (reduce(torch.add, side) for side in zip(*sources.values(), strict=True))
    head = HeadScores(scores(query, key), tokens)
    pairs = list(dict.fromkeys([*_pairs(sources), *_pairs(grouped), TOTAL]))
    sums: dict[str, Tensor] = {}
    for query_source, key_source, term in chain(terms(sources), terms(grouped), [(*TOTAL, head.scores)]):
        for name, value in term_sums(term, head).items():
            # Into one tensor a name: small ones kept from among large ones passing by would tear memory to pieces.
            whole = sums.setdefault(name, value.new_empty(len(pairs), *value.shape))
            whole[pairs.index((query_source, key_source))] = value
    named = {"all": sources, "streams": grouped}  # position and bias are in both
    sets = {name: [pairs.index(pair) for pair in _pairs(sides)] for name, sides in named.items()}
    sample = term_statistics(sums, head, sets, torch.ones_like(counts[:1]))
    value = torch.cat(list(sample.values())).mT
    replicates = torch.stack(list(term_statistics(sums, head, sets, counts).values()), -1)
    lo, hi = interval(value, replicates, confidence)
    if counts.shape[1] == 1:  # one sentence does not tell how sentences differ
        lo = hi = torch.full_like(value, torch.nan)
    pattern = head.entries.by_offset(head.pattern.mean(0))
    return Decomposition(pairs, list(sample), value, lo, hi, sums["offset"], pattern)


def _pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Every source of the query with every source of the key."""
    return [(query_source, key_source) for query_source in names for key_source in names]
