"""What each term of a head's scores amounts to, over the causal entries (key <= query) of sentences.

Softmax ignores what is the same for all keys of a query, so shares and profiles are those of row-centred
scores: less their mean over the row. The first row, with its one entry, then says nothing and is left out.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from pipeline.circuits.terms.variance import variance_components
from pipeline.circuits.transformer.attention import pattern


class Entries:
    """The causal entries of an n x n map as one axis, row by row, in float64."""

    def __init__(self, n: int) -> None:
        """Number the entries."""
        self.n = n
        self.query, self.key = torch.tril_indices(n, n)
        self.place = self.query * n + self.key
        self.offset = self.query - self.key
        self.length = torch.arange(1, n + 1)  # of rows

    def __len__(self) -> int:
        """How many there are: n (n + 1) / 2."""
        return len(self.query)

    def of(self, maps: Float[Tensor, "*lead query key"]) -> Float64[Tensor, "*lead entry"]:
        """Pick them from maps."""
        return maps.flatten(-2).index_select(-1, self.place).double()

    def row_sums(self, values: Float64[Tensor, "*lead entry"]) -> Float64[Tensor, "*lead query"]:
        """Sum over each query's keys."""
        flat = values.reshape(-1, len(self))
        lengths = self.length.expand(len(flat), -1).contiguous()
        return torch.segment_reduce(flat, "sum", lengths=lengths, axis=1).view(*values.shape[:-1], self.n)

    def row_centred(self, values: Float64[Tensor, "*lead entry"]) -> Float64[Tensor, "*lead entry"]:
        """Subtract from each entry the mean of its row."""
        means = self.row_sums(values) / self.length
        return values - means.index_select(-1, self.query)

    def by_offset(self, values: Float64[Tensor, "*lead entry"]) -> Float64[Tensor, "*lead offset"]:
        """Mean over the entries query - key apart, without the first row."""
        sums = values.new_zeros(*values.shape[:-1], self.n).index_add_(-1, self.offset[1:], values[..., 1:])
        return sums / torch.bincount(self.offset[1:], minlength=self.n).clamp(min=1)


@dataclass(frozen=True)
class HeadScores:
    """One head's whole scores on some sentences, which its terms are held against."""

    scores: Float[Tensor, "batch query key"]
    tokens: Int[Tensor, "batch query"]

    @cached_property
    def entries(self) -> Entries:
        """The causal entries of its maps."""
        return Entries(self.scores.shape[-1])

    @cached_property
    def pattern(self) -> Float64[Tensor, "batch entry"]:
        """Attention."""
        return self.entries.of(pattern(self.scores))

    @cached_property
    def centred(self) -> Float64[Tensor, "batch entry"]:
        """Row-centred scores."""
        return self.entries.row_centred(self.entries.of(self.scores))

    @cached_property
    def comparison(self) -> Float64[Tensor, "batch entry"]:
        """Weights whose sum over a row is the mean on same-token keys minus that on others.

        Keys before the query only; 0 in rows that lack either kind.
        """
        query, key = self.entries.query, self.entries.key
        earlier = (key < query).double()
        same = (self.tokens[:, query] == self.tokens[:, key]) * earlier
        different = earlier - same
        n_same, n_different = (self.entries.row_sums(keys)[:, query] for keys in (same, different))
        weights = same / n_same.clamp(min=1) - different / n_different.clamp(min=1)
        return weights * (n_same > 0) * (n_different > 0)

    @cached_property
    def maps(self) -> Float64[Tensor, "batch map entry"]:
        """What every term is multiplied with: `centred`, `pattern`, `comparison`."""
        return torch.stack([self.centred, self.pattern, self.comparison], 1)

    @cached_property
    def compared(self) -> Float64[Tensor, " batch"]:
        """How many rows `comparison` is made of."""
        return self.entries.row_sums(self.comparison.abs()).gt(0).sum(-1).double()


def term_sums(
    values: Float64[Tensor, "batch entry"], head: HeadScores, without: Float64[Tensor, " batch"]
) -> dict[str, Float64[Tensor, "..."]]:
    """Sum one term's scores over each sentence, in all the ways that its statistics need.

    Args:
        values: the term's scores, of the head's entries.
        head: the head it belongs to.
        without: what taking the term away adds to `log_normalisers`.

    Returns:
        [batch] each: `score`, `absolute`, `cross` (with the head's row-centred scores), `centred_square`,
        `divergence` (nats, summed over rows), `same_token` (summed over the rows compared), `diagonal` (the
        row-centred score at offset 0); and
        `gram` [batch, batch], inner products between sentences; `offset` [offset], the mean row-centred score.
    """
    entries = head.entries
    rows = entries.row_sums(values)
    gram = values @ values.mT
    cross, attended, same_token = (head.maps @ values[..., None]).squeeze(-1).unbind(-1)
    return {
        "score": rows.sum(-1),
        "absolute": values.abs().sum(-1),
        "cross": cross,
        "centred_square": gram.diagonal() - (rows**2 / entries.length).sum(-1),
        # KL(p || p without the term) is E_p[term] + log Z without the term - log Z, row by row.
        "divergence": attended + without,
        "same_token": same_token,
        "diagonal": (values[..., entries.offset == 0] - rows / entries.length).sum(-1),
        "gram": gram,
        "offset": entries.by_offset(entries.row_centred(values.mean(0))),
    }


def term_statistics(
    sums: dict[str, Float64[Tensor, "term ..."]],
    head: HeadScores,
    sets: dict[str, list[int]],
    counts: Float64[Tensor, "sample batch"],
) -> dict[tuple[str, str], Float64[Tensor, "sample term"]]:
    """Turn sums into statistics, for the sample as it is and for resamples of its sentences.

    Args:
        sums: those of `term_sums`, with a leading term axis.
        head: the head they belong to.
        sets: by name, of terms that together make the head's scores.
        counts: how often each sentence counts; each row sums to batch.

    Returns:
        By statistic and component, NaN where undefined.
        `mean`, `absolute_mean` (scores) and `variance` (score squared, see variance_components), of scores as they are.
        `share`: sum of the products of the term's and the head's row-centred scores over the sum of the
        head's squares: 1 in total over terms that make the head's scores; may be negative.
        `naive_share`, a component a set: the sum of the term's own squares over that of the set, covariances
        ignored; NaN for a term outside it.
        `divergence`: nats, mean over rows of KL(pattern || pattern of the scores without the term).
        `same_token_preference`: score, mean over queries whose token occurred before of the mean score on the
        earlier keys that hold it, minus that on the other earlier keys.
    """
    batch, entries = len(head.tokens), len(head.entries)
    variance = variance_components(sums["gram"], sums["score"], entries, counts)
    squares = counts @ sums["centred_square"].mT
    naive = {name: torch.full_like(squares, torch.nan) for name in sets}
    for name, terms in sets.items():
        naive[name][:, terms] = squares[:, terms] / squares[:, terms].sum(-1, keepdim=True)
    total = counts @ (head.centred**2).sum(-1)
    return {
        ("mean", "all"): counts @ sums["score"].mT / (batch * entries),
        ("absolute_mean", "all"): counts @ sums["absolute"].mT / (batch * entries),
        **{("variance", component): value for component, value in variance.items()},
        ("share", "all"): counts @ sums["cross"].mT / total[:, None],
        **{("naive_share", name): share for name, share in naive.items()},
        ("divergence", "all"): counts @ sums["divergence"].mT / (batch * (head.entries.n - 1)),
        ("same_token_preference", "all"): counts @ sums["same_token"].mT / (counts @ head.compared)[:, None],
    }


def sentence_statistics(
    sums: dict[str, Float64[Tensor, "term ..."]], head: HeadScores, terms: list[int]
) -> dict[str, tuple[Float64[Tensor, "term batch"], Float64[Tensor, "term batch"]]]:
    """Give each sentence its part in a statistic.

    Args:
        sums: those of `term_sums`, with a leading term axis.
        head: the head they belong to.
        terms: those that together make the head's scores, for `naive_share`.

    Returns:
        By statistic, each sentence's value, NaN where it has none, and its weight: the statistic of all is the mean
        of the sentences' by weight. `share` and `naive_share`: see `term_statistics`; weighed by the squares
        that they are shares of. `diagonal`: score, mean row-centred score of queries, after the first, with
        themselves; weighed by queries.
    """
    total, squares = (head.centred**2).sum(-1), sums["centred_square"]
    queries = torch.full_like(total, head.entries.n - 1)
    parts = {
        "share": (sums["cross"], total),
        "naive_share": (squares, squares[terms].sum(0).clamp(min=0)),
        "diagonal": (sums["diagonal"], queries),
    }
    return {name: (value / weight, weight.expand_as(value)) for name, (value, weight) in parts.items()}


def log_normalisers(
    masked: Float64[Tensor, "batch query key"], term: Float64[Tensor, "batch query key"]
) -> tuple[Float64[Tensor, " batch"], Float64[Tensor, " batch"]]:
    """Sum over queries of log sum exp over keys of scores without a term: over all positions, and without the first.

    Args:
        masked: the scores, -infinity where a query may not look.
        term: what is taken away.
    """
    rest = masked[:, 1:, 1:] - term[:, 1:, 1:]
    # log_softmax is several times faster than logsumexp here, and each of these queries sees key 1.
    without_first = rest[..., 0] - rest.log_softmax(-1)[..., 0]
    first = masked[..., 0] - term[..., 0]
    return first[:, 0] + torch.logaddexp(first[:, 1:], without_first).sum(-1), without_first.sum(-1)
