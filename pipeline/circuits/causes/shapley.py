"""Who earned what: a fair share of a common gain for each of several players.

A player's Shapley share is what it adds to the players before it, averaged over all orders in which they
may come. The shares sum to the gain of all.

Source: Shapley 1953, "A Value for n-Person Games"; by sampled orders: Castro, Gomez and Tejada 2009,
"Polynomial calculation of the Shapley value based on sampling"; an order beside its reverse: Mitchell
et al. 2022, "Sampling Permutations for Shapley Value Estimation", section 4.
"""

import math
from collections.abc import Callable

import torch
from einops import einsum
from scipy import stats
from torch import Generator, Tensor


def exact_shares(worth: Tensor) -> Tensor:
    """Shares of a few players, from what every coalition is worth.

    Args:
        worth: [2^player, ...], coalition c holds the players whose bits are set in c.

    Returns:
        [player, ...], in worth's unit, float64; they sum to worth[-1] - worth[0].
    """
    worth = worth.double()
    players = len(worth).bit_length() - 1
    coalitions = torch.arange(len(worth))
    sizes = torch.stack([coalitions >> player & 1 for player in range(players)]).sum(0)
    shares = []
    for player in range(players):
        without = coalitions[coalitions >> player & 1 == 0]
        # The share of orders in which exactly these players come before.
        ways = [players * math.comb(players - 1, size) for size in sizes[without].tolist()]
        added = worth[without | 1 << player] - worth[without]
        shares.append(einsum(1 / torch.tensor(ways).double(), added, "coalition, coalition ... -> ..."))
    return torch.stack(shares)


def sampled_shares(
    walk: Callable[[Tensor], Tensor], players: int, pairs: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Shares of many players, from random orders, each beside its reverse.

    A player that comes late in an order comes early in its reverse, which takes most of the noise out of a
    gain that saturates.

    Args:
        walk: from an order [player] to what its first 0, 1, ... players are worth, [player + 1, ...]. All
            orders must end at the same worth, so that shares sum to the gain whatever the sample.
        players: how many.
        pairs: orders drawn, at least 2; as many reverses come with them.
        generator: decides the orders.

    Returns:
        The shares [player, ...], and half the width of their 95 % intervals (Student's t over the pairs),
        float64.
    """
    sample = []
    for _ in range(pairs):
        order = torch.randperm(players, generator=generator)
        both = [torch.empty_like(walked).index_copy(0, way, walked) for way, walked in _added(walk, order)]
        sample.append(torch.stack(both).mean(0))
    sample = torch.stack(sample)
    error = sample.std(0) / math.sqrt(pairs)
    return sample.mean(0), error * stats.t.ppf(0.975, pairs - 1)


def _added(walk: Callable[[Tensor], Tensor], order: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return what each player adds in an order, and in its reverse."""
    return [(way, walk(way).double().diff(dim=0)) for way in (order, order.flip(0))]
