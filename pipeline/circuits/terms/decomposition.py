"""One head taken apart: every statistic of every term of its scores, with intervals over sentences.

Most heads put most of their attention on [BEGIN], if there is one, where it does nothing: its column is then most of
the variance of their scores, and says little of how they choose among tokens. So every statistic comes twice, over
all keys and over all but [BEGIN].
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from pipeline.circuits.resampling import interval
from pipeline.circuits.terms.distance import distance_share
from pipeline.circuits.terms.sources import QueriesKeys, streams
from pipeline.circuits.terms.term_statistics import (
    HeadScores,
    log_normalisers,
    sentence_statistics,
    term_statistics,
    term_sums,
)
from pipeline.circuits.transformer.attention import causal_mask, scores

TOTAL = ("total", "total")
DISTANCE_SHARE = ("distance_share", "all")
FIRST_KEY = {"all": 0, "no_begin": 1}  # by the keys that statistics are over: the first position among them


@dataclass(frozen=True)
class Decomposition:
    """The terms of one head's scores: by source, by the notebook's grouping, and `total`."""

    pairs: list[tuple[str, str]]  # the term axis: query source, key source
    statistics: list[tuple[str, str]]  # the statistic axis: statistic, component; see term_statistics, distance_share
    value: Float64[Tensor, "term statistic"]
    lo: Float64[Tensor, "term statistic"]  # lower end of the interval over sentences; NaN for one sentence
    hi: Float64[Tensor, "term statistic"]  # its upper end, likewise
    offset_score: Float64[Tensor, "term offset"]  # mean row-centred score by query - key
    offset_pattern: Float64[Tensor, " offset"]  # mean attention by query - key
    # By statistic, each sentence's value and weight; see sentence_statistics.
    sentences: dict[str, tuple[Float64[Tensor, "term sentence"], Float64[Tensor, "term sentence"]]]


def decompose(
    sources: QueriesKeys,
    tokens: Int[Tensor, "batch position"],
    counts: Float64[Tensor, "resample batch"],
    judging: Float64[Tensor, "resample half"],
    confidence: float,
    begins: bool,
) -> dict[str, Decomposition]:
    """Take one head apart, one term at a time.

    Args:
        sources: what each gives its queries and keys, [batch, position, d_head] each; together, its scores.
        tokens: of the sentences.
        counts: how often each sentence comes in each resample; see resampled_counts.
        judging: the same of every second sentence, from the second; see distance_share.
        confidence: of the intervals over sentences.
        begins: whether position 0 holds [BEGIN].

    Returns:
        By the keys that statistics are over: `all`; `no_begin`, where the model has [BEGIN], with neither its column
        nor its row: scores are centred, and attention sums to 1, over the keys that remain.
    """
    grouped = streams(sources)
    query, key = (reduce(torch.add, side) for side in zip(*sources.values(), strict=True))
    total = scores(query, key)
    firsts = [first for first in FIRST_KEY.values() if begins or not first]
    heads = [HeadScores(total[:, first:, first:], tokens[:, first:]) for first in firsts]
    pairs = list(dict.fromkeys([*_pairs(sources), *_pairs(grouped), TOTAL]))
    sums = _sums(sources | grouped | {"total": (query, key)}, pairs, heads)
    named = {"all": sources, "streams": grouped}  # position and bias are in both
    sets = {name: [pairs.index(pair) for pair in _pairs(sides)] for name, sides in named.items()}
    described = [
        _described(pairs, *of_keys, sets, counts, judging, confidence) for of_keys in zip(sums, heads, strict=True)
    ]
    return dict(zip(FIRST_KEY, described, strict=False))


def _sums(sides: QueriesKeys, pairs: list[tuple[str, str]], heads: list[HeadScores]) -> list[dict[str, Tensor]]:
    """Return the `term_sums` of every pair of sources, stacked, over each choice of keys; the first is of all."""
    entries, scored = heads[0].entries, heads[0].scores
    masked = scored.masked_fill(~causal_mask(entries.n), -torch.inf)
    places = [(entries.key >= first).nonzero()[:, 0] for first in FIRST_KEY.values()]
    normalisers = log_normalisers(masked, torch.zeros_like(scored))
    sums: list[dict[str, Tensor]] = [{} for _ in heads]
    for pair, (query_source, key_source) in enumerate(pairs):
        term = scores(sides[query_source][0], sides[key_source][1])
        values, without = entries.of(term), log_normalisers(masked, term)
        for head, of_head, place, less, whole in zip(heads, sums, places, without, normalisers, strict=False):
            for name, value in term_sums(values.index_select(-1, place), head, less - whole).items():
                # Into one tensor a name: small ones kept from among large ones passing by would tear memory to pieces.
                of_head.setdefault(name, value.new_empty(len(pairs), *value.shape))[pair] = value
    return sums


def _described(
    pairs: list[tuple[str, str]],
    sums: dict[str, Tensor],
    head: HeadScores,
    sets: dict[str, list[int]],
    counts: Float64[Tensor, "resample batch"],
    judging: Float64[Tensor, "resample half"],
    confidence: float,
) -> Decomposition:
    """Turn the sums over one choice of keys into statistics with intervals."""
    once, resampled = (torch.ones_like(counts[:1]), torch.ones_like(judging[:1])), (counts, judging)
    sample, samples = (
        term_statistics(sums, head, sets, of_all)
        | {DISTANCE_SHARE: _of_total(distance_share(head, of_half), len(pairs))}
        for of_all, of_half in (once, resampled)
    )
    value = torch.cat(list(sample.values())).mT
    lo, hi = interval(value, torch.stack(list(samples.values()), -1), confidence)
    for place, statistic in enumerate(sample):
        # One sentence does not tell how sentences differ.
        if (judging if statistic == DISTANCE_SHARE else counts).shape[1] < 2:
            lo[:, place] = hi[:, place] = torch.nan
    pattern = head.entries.by_offset(head.pattern.mean(0))
    sentences = sentence_statistics(sums, head, sets["all"])
    return Decomposition(pairs, list(sample), value, lo, hi, sums["offset"], pattern, sentences)


def _of_total(values: Float64[Tensor, " sample"], terms: int) -> Float64[Tensor, "sample term"]:
    """Return what the last term, the whole, has alone; NaN for the others."""
    return torch.cat([values.new_full((len(values), terms - 1), torch.nan), values[:, None]], -1)


def _pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Every source of the query with every source of the key."""
    return [(query_source, key_source) for query_source in names for key_source in names]
