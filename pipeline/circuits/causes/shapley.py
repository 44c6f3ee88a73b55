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
from jaxtyping import Float, Float64, Int
from scipy import stats
from torch import Generator, Tensor


def exact_shares(worth: Float[Tensor, "coalition ..."]) -> Float64[Tensor, "player ..."]:
    """Shares of a few players, from what every coalition is worth.

    Args:
        worth: of all 2^players coalitions; coalition c holds the players whose bits are set in c.

    Returns:
        In worth's unit; they sum to worth[-1] - worth[0].
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
    walk: Callable[[Tensor], Tensor], players: int, pairs: int, confidence: float, generator: Generator
) -> tuple[Float64[Tensor, "player ..."], Float64[Tensor, "player ..."]]:
    """Shares of many players, from random orders, each beside its reverse.

    A player that comes late in an order comes early in its reverse, which takes most of the noise out of a
    gain that saturates.

    Args:
        walk: from an order [player] to what its first 0, 1, ... players are worth, [player + 1, ...]. All
            orders must end at the same worth, so that shares sum to the gain whatever the sample.
        players: how many.
        pairs: orders drawn, at least 2; as many reverses come with them.
        confidence: of the intervals.
        generator: decides the orders.

    Returns:
        The shares, and half the width of their intervals (Student's t over the pairs).
    """
    of_pairs = []
    for _ in range(pairs):
        order = torch.randperm(players, generator=generator)
        both_ways = [_added(walk, order), _added(walk, order.flip(0))]
        of_pairs.append(torch.stack(both_ways).mean(0))
    sample = torch.stack(of_pairs)
    error = sample.std(0) / math.sqrt(pairs)
    return sample.mean(0), error * float(stats.t.ppf((1 + confidence) / 2, pairs - 1))


def _added(walk: Callable[[Tensor], Tensor], order: Int[Tensor, " player"]) -> Float64[Tensor, "player ..."]:
    """Return what each player adds to those before it in an order, by player."""
    added = walk(order).double().diff(dim=0)
    return torch.empty_like(added).index_copy(0, order, added)
