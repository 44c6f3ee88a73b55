"""How far a head's scores depend on the distance between query and key alone, whatever carries it.

Rotary positions are in every term, learned ones also in what feed-forward parts and earlier heads made of them: no
sum of terms tells position from content there. A function of the distance that holds for all sentences does, as far
as a head goes by distance; where it goes by absolute places, it does not.
"""

import torch
from jaxtyping import Float64
from torch import Tensor

from pipeline.circuits.terms.term_statistics import Entries, HeadScores


def distance_share(head: HeadScores, counts: Float64[Tensor, "sample judging"]) -> Float64[Tensor, " sample"]:
    """Share of the variance of a head's row-centred scores that a function of distance explains.

    The function is fitted to every second sentence, from the first, and judged on the others, so that what it
    catches of their noise does not count: of a head that does not go by distance the share is 0 on average.

    Args:
        head: its scores.
        counts: how often each sentence that judges counts.

    Returns:
        The sum of products of the function, row-centred, with the scores over the sum of the scores' squares: 1 for
        scores of distance alone, below 0 where the two halves disagree; NaN for one sentence, which none judges.
    """
    fitted = by_distance(head.centred[::2].mean(0), head.entries)[head.entries.offset]
    judging = head.centred[1::2]  # row-centred, so that the function need not be
    return (counts @ (judging * fitted).sum(-1)) / (counts @ (judging**2).sum(-1))


def by_distance(centred: Float64[Tensor, " entry"], entries: Entries) -> Float64[Tensor, " offset"]:
    """Return the function of distance whose row-centred values are closest to row-centred scores: least squares.

    What all distances share is lost by centring: the value at 0 is 0.
    """
    distance = torch.arange(entries.n)
    sums = centred.new_zeros(entries.n).index_add_(0, entries.offset, centred)
    # Normal equations: entries at a distance, less what the means of the rows that reach both distances take away.
    taken = (1 / entries.length.double()).flip(0).cumsum(0).flip(0)
    normal = torch.diag((entries.n - distance).double()) - taken[torch.maximum(distance, distance[:, None])]
    return torch.cat([sums.new_zeros(1), torch.linalg.solve(normal[1:, 1:], sums[1:])])
