"""One head taken apart: every statistic of every term of its scores, with intervals over sentences."""

from dataclasses import dataclass
from itertools import chain, product

import torch
from torch import Tensor

from pipeline.circuits.resampling import interval
from pipeline.circuits.terms.term_statistics import Head, term_statistics, term_sums
from pipeline.circuits.terms.terms import Sides, streams, terms
from pipeline.circuits.transformer.attention import scores

TOTAL = ("total", "total")


@dataclass(frozen=True)
class Decomposition:
    """The terms of one head's scores: by source, by the notebook's grouping, and `total`."""

    pairs: list[tuple[str, str]]  # the term axis: query source, key source
    statistics: list[tuple[str, str]]  # the statistic axis: statistic, component; see term_statistics
    value: Tensor  # [term, statistic]
    lo: Tensor  # [term, statistic], lower end of the 95 % interval over sentences; NaN for one sentence
    hi: Tensor  # [term, statistic], its upper end, likewise
    offset_score: Tensor  # [term, offset], mean row-centred score by query - key
    offset_pattern: Tensor  # [offset], mean attention by query - key


def decompose(sides: Sides, tokens: Tensor, counts: Tensor) -> Decomposition:
    """Take one head apart, one term at a time.

    Args:
        sides: what each source gives its queries and keys, [batch, position, d_head] each; together, its scores.
        tokens: [batch, position].
        counts: [resample, batch], how often each sentence comes in each resample; see resampled_counts.
    """
    grouped = streams(sides)
    head = Head(scores(*(sum(side) for side in zip(*sides.values(), strict=True))), tokens)
    pairs = list(dict.fromkeys([*product(sides, repeat=2), *product(grouped, repeat=2), TOTAL]))
    sums = {}
    for query_source, key_source, term in chain(terms(sides), terms(grouped), [(*TOTAL, head.scores)]):
        for name, value in term_sums(term, head).items():
            # Into one tensor a name: small ones kept from among large ones passing by would tear memory to pieces.
            whole = sums.setdefault(name, value.new_empty(len(pairs), *value.shape))
            whole[pairs.index((query_source, key_source))] = value
    sets = [[pairs.index(pair) for pair in product(names, repeat=2)] for names in (grouped, sides)]
    sample = term_statistics(sums, head, sets, torch.ones_like(counts[:1]))
    value = torch.cat(list(sample.values())).mT
    lo, hi = interval(value, torch.stack(list(term_statistics(sums, head, sets, counts).values()), -1))
    if counts.shape[1] == 1:  # one sentence does not tell how sentences differ
        lo = hi = torch.full_like(value, torch.nan)
    pattern = head.entries.by_offset(head.pattern.mean(0))
    return Decomposition(pairs, list(sample), value, lo, hi, sums["offset"], pattern)
