"""Does a head know a relation? From a token to another in its OV circuit, by pairs of words."""

import torch
from jaxtyping import Bool, Float64, Int
from torch import Generator, Tensor

from pipeline.circuits.vocabulary.factors import Factors


def hits(circuit: Factors, targets: Int[Tensor, " pair"], most: int) -> Bool[Tensor, "pair pair"]:
    """Say which targets are among the largest entries of which sources' rows of a circuit.

    Args:
        circuit: the rows of the sources, a token each, and the columns of all.
        targets: a token each; the diagonal of what is returned is of pairs.
        most: so many; ties count against a target, as in `diagonal_rank`.

    Source: Elhelo and Geva 2025, "Inferring Functionality of Attention Heads from their Parameters" (MAPS); successor
    heads: Gould et al. 2024, "Successor Heads".
    """
    rows, columns = circuit
    entries = rows @ columns.mT
    beyond = entries.topk(min(most + 1, entries.shape[1])).values[:, -1:]
    return entries[:, targets] > beyond


def share(found: Bool[Tensor, "*heads pair pair"], fewest: int) -> Float64[Tensor, "*heads"]:
    """Return the share of pairs whose target is a hit; NaN of fewer pairs than `fewest`."""
    if found.shape[-1] < fewest:
        return torch.full(found.shape[:-2], torch.nan, dtype=torch.float64)
    return found.diagonal(dim1=-2, dim2=-1).double().mean(-1)


def permuted(
    found: Bool[Tensor, "*heads pair pair"], fewest: int, draws: int, generator: Generator
) -> Float64[Tensor, " draw *heads"]:
    """Draw the share where targets change places among the sources."""
    pairs = found.shape[-1]
    orders = torch.rand(draws, pairs, generator=generator).argsort(-1)
    return torch.stack([share(found[..., order], fewest) for order in orders])
