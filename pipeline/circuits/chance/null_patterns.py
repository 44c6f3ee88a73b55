"""What chance gives for induction in attention patterns: *permuted tokens*.

The model's own attention is kept; the tokens that a query looks back on change places: they are turned around by
a number of places, drawn for each query. Kept are which queries count, how many targets each has, and how far
apart; lost is at which of the keys it sees they are. One draw holds for all sentences. That is what makes p values
right: where a query looks by its position alone is luck of the model's, the same in every sentence, and would count
as many times as there are sentences if each had draws of its own.

Scores of position alone (previous token, `stripe`) do not ask which tokens are equal, and have no such chance. Nor
have those of equal tokens: random queries and keys favour a token's own copies or shun them, all tokens' alike.

Where nothing repeats, chance is *renamed tokens*: the pattern is kept, and which tokens stand where; what counts as
near a query's token are others than are, each drawn among those that come as often (counts of as many binary digits).
One draw holds for all sentences, for the same reason. Sentences that look at each other's targets are too narrow a
chance: of two tokens, a query's and the one after a near token's, a head makes the same, whatever the sentence. A pair
that comes in n sentences adds its luck n times, with n^2 times its variance; sentences that change places take it for n
strokes of luck, with n times its variance, and called 8.8 % of untrained heads significant at a level of 5 %. Queries
keep what neighbours they have in common: those near one token are near each other, and a head's luck with them is one.
From each sentence's attention the mean over sentences is taken away, place by place, so that who goes by position gains
nothing.
"""

from collections.abc import Iterable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Float64, Int
from torch import Generator, Tensor
from torch.nn.functional import embedding_bag

from pipeline.circuits.scores.head_patterns import same_token

AT_ONCE = 16  # draws looked up at a time


def turns(draws: int, length: int, generator: Generator) -> Float64[Tensor, "draw query"]:
    """Draw by which part of the circle of its keys each query's tokens are turned, in 0 ... 1."""
    return torch.rand(draws, length, generator=generator, dtype=torch.float64)


def matches(
    pattern: Float[Tensor, "batch layer head query key"],
    tokens: Int[Tensor, "batch query"],
    first: int,
    turns: Float64[Tensor, "draw query"],
) -> dict[str, Float64[Tensor, "draw layer head"]]:
    """Sum attention to targets over sentences and queries, tokens turned around: those of parts of a set add up.

    Args:
        pattern: of the sentences as they are.
        tokens: of the sentences.
        first: the first position whose token is turned: 1 where sequences start with [BEGIN].
        turns: in 0 ... 1.

    Returns:
        `all`, to the positions after earlier copies of the query's token; `latest`, to
        the one after the latest copy.
    """
    heads = tuple(pattern.shape[1:3])
    pattern, tokens = _distinct(pattern, tokens)
    # The heads of one query and key stand side by side, so that each look-up reads one stretch of memory.
    attention = rearrange(pattern, "batch layer head query key -> (batch query key) (layer head)")
    copies = same_token(tokens).tril(-1)
    copies[:, :, :first] = False
    latest = copies & (copies.cumsum(-1) == copies.sum(-1, keepdim=True))
    masks = {"all": copies, "latest": latest}
    return {name: _attention(attention, mask, first, turns).unflatten(-1, heads) for name, mask in masks.items()}


def renamed(
    patterns: Iterable[Float[Tensor, "batch layer head query key"]],
    tokens: Int[Tensor, "sentence query"],
    first: int,
    near: Int[Tensor, "d_vocab near"],
    draws: int,
    generator: Generator,
) -> tuple[Float64[Tensor, "layer head"], Float64[Tensor, "draw layer head"]]:
    """Sum attention, less the mean sentence's, to what follows tokens near the query's: as they are, and renamed.

    Args:
        patterns: of all sentences, some at a time.
        tokens: of the sentences.
        first: the first position whose token counts: 1 where sequences start with [BEGIN].
        near: of `induction.nearest`.
        draws: how many.
        generator: decides them.
    """
    occurring, which, counts = tokens[:, first:].unique(return_inverse=True, return_counts=True)
    pairs, rows = _pairs(which)
    attention = _by_pair(patterns, rows, first, len(pairs))
    found = torch.searchsorted(occurring, near[occurring].clamp(max=occurring[-1]))
    query, rank = (occurring[found] == near[occurring]).nonzero(as_tuple=True)
    sums = []
    for names in (torch.arange(len(counts)), *renamings(counts, draws, generator)):
        wanted = query * len(counts) + names[found[query, rank]]
        row = torch.searchsorted(pairs, wanted)
        sums.append(attention[row[pairs[row] == wanted]].sum(0, dtype=torch.float64))
    return sums[0], torch.stack(sums[1:])


def renamings(counts: Int[Tensor, " token"], draws: int, generator: Generator) -> Int[Tensor, "draw token"]:
    """Draw a token for each, among those whose counts have as many binary digits; no token stands for two."""
    digits = torch.frexp(counts.double()).exponent
    drawn = (digits + torch.rand(draws, len(counts), generator=generator, dtype=torch.float64)).argsort(-1)
    return torch.empty_like(drawn).index_copy(1, digits.argsort(), drawn)


def _pairs(
    which: Int[Tensor, "sentence place"],
) -> tuple[Int[Tensor, " pair"], Int[Tensor, "sentence place earlier"]]:
    """Return every pair of a query's token and another, earlier one, and which of them stands where.

    A pair is a number: the query's token, times how many tokens there are, plus the other. The last is none.
    """
    tokens = int(which.max()) + 1
    number = which[:, :, None] * tokens + which[:, None, :]
    counts = (which[:, :, None] != which[:, None, :]).tril(-1)
    pairs, rows = number.where(counts, tokens**2).unique(return_inverse=True)
    return pairs, rows


def _by_pair(
    patterns: Iterable[Float[Tensor, "batch layer head query key"]],
    rows: Int[Tensor, "sentence place earlier"],
    first: int,
    pairs: int,
) -> Float[Tensor, "pair layer head"]:
    """Sum attention to the key after the earlier token, less its mean over sentences, pair by pair."""
    total, whole, done = torch.zeros(pairs, 1, 1), torch.zeros(1), 0
    for pattern in patterns:
        after = pattern[..., first:, first:].float().roll(-1, -1)
        after = rearrange(after, "batch layer head query key -> batch (query key) layer head")
        of_part = rows[done : done + len(after)].flatten()
        total = total + torch.zeros(pairs, *after.shape[2:]).index_add(0, of_part, after.flatten(0, 1))
        whole, done = whole + after.sum(0), done + len(after)
    for of_sentence in rows.flatten(1):
        total.index_add_(0, of_sentence, whole, alpha=-1 / len(rows))
    return total


def _attention(
    attention: Float[Tensor, "pair head"],
    mask: Bool[Tensor, "batch query key"],
    first: int,
    turns: Float64[Tensor, "draw query"],
) -> Float64[Tensor, "draw head"]:
    """Sum attention [(batch query key), head] to the positions after those of the mask, turned."""
    sentence, query, key = mask.nonzero(as_tuple=True)
    if not len(query):
        return torch.zeros(len(turns), attention.shape[1], dtype=torch.float64)
    seen, row = query - first, (sentence * mask.shape[1] + query) * mask.shape[2]
    sums = []
    for part in turns.split(AT_ONCE):
        place = first + (key - first + (part[:, query] * seen).long()) % seen
        sums.append(embedding_bag(row + place + 1, attention, mode="sum"))
    return torch.cat(sums).double()


def _distinct(
    pattern: Float[Tensor, "batch layer head query key"], tokens: Int[Tensor, "batch query"]
) -> tuple[Float[Tensor, "sentence layer head query key"], Int[Tensor, "sentence query"]]:
    """Take sentences with equal tokens at the same places as one, their patterns summed."""
    # Each token named by the first position that holds it.
    named, which = same_token(tokens).int().argmax(-1).unique(dim=0, return_inverse=True)
    return torch.zeros(len(named), *pattern.shape[1:]).index_add(0, which, pattern.float()), named
