"""What chance gives for induction in attention patterns: *permuted tokens*.

The model's own attention is kept; the tokens that a query looks back on change places: they are turned around by
a number of places, drawn for each query. Kept are which queries count, how many targets each has, and how far
apart; lost is at which of the keys it sees they are. One draw holds for all sentences. That is what makes p values
right: where a query looks by its position alone is luck of the model's, the same in every sentence, and would count
as many times as there are sentences if each had draws of its own.

Scores of position alone (previous token, `stripe`) do not ask which tokens are equal, and have no such chance. Nor
have those of equal tokens: random queries and keys favour a token's own copies or shun them, all tokens' alike.

Where nothing repeats, chance is *permuted sentences*: each sentence's attention is held against the keys that another
sentence's queries should look at. Kept are the pattern, where in a sentence targets stand, and how many there are, so
that heads which go by position gain nothing; lost is which tokens are there. Where a token's own neighbours in text go
with those that its neighbours have, a head that favours tokens by its luck strays from this chance by more than the
deviation, 1.6 times as far on the text of python_docs before training, but by less than a hundredth of the mean.
"""

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


def exchanged(
    matches: Float64[Tensor, "sentence other layer head"],
) -> tuple[Float64[Tensor, "layer head"], Float64[Tensor, "layer head"]]:
    """Return mean and deviation of the sum over sentences, each with another's keys: over all their permutations.

    Args:
        matches: attention in a sentence to the keys of another; a head's score is the sum of its diagonal.

    Returns:
        Both exact; the deviation NaN of one sentence.

    Source: Hoeffding 1951, "A Combinatorial Central Limit Theorem", theorem 2.
    """
    count = len(matches)
    mean = matches.mean((0, 1))
    apart = matches - matches.mean(0, keepdim=True) - matches.mean(1, keepdim=True) + mean
    free = count - 1 if count > 1 else torch.nan
    return count * mean, (apart.square().sum((0, 1)) / free).sqrt()


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
