"""Does a head send a token back to itself? Scores of a token-to-token circuit's diagonal."""

import math

import einops
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.vocabulary.spectra import eigenvalues


def eigenvalue(circuit: Grams) -> Float64[Tensor, "..."]:
    """How far the circuit maps directions in the vocabulary onto themselves: Re(sum z) / sum |z|.

    Returns:
        +1 if all eigenvalues z are positive (copying), -1 if all are negative, 0 expected by chance; NaN if all
        are zero, or as far as rounding tells.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits".
    """
    found = eigenvalues(circuit.whole_cross)
    size = found.abs().sum(-1)
    return found.sum(-1).real / size.where(size > circuit.resolution * circuit.largest, torch.nan)


def diagonal_z(circuit: Grams) -> Float64[Tensor, "..."]:
    """How far the circuit's diagonal stands out: (mean diagonal - mean entry) / sd of all entries.

    Returns:
        Standard deviations of single entries: sqrt(d_vocab - 1) for a multiple of the identity, 0 by chance; NaN
        if all entries are equal.
    """
    return _trace(circuit.cross) / circuit.size / circuit.deviation


def trace(circuit: Grams) -> Float64[Tensor, "..."]:
    """Sum of the circuit's diagonal, in the unit of its entries."""
    return _trace(circuit.whole_cross)


def _trace(matrix: Float64[Tensor, "... n n"]) -> Float64[Tensor, "..."]:
    return matrix.diagonal(dim1=-2, dim2=-1).sum(-1)


def diagonal_rank(
    rows: Float[Tensor, "row rank"],
    columns: Float[Tensor, "d_vocab rank"],
    tokens: Int[Tensor, " row"],
    tile: int,
    most: int,
) -> Int[Tensor, " row"]:
    """Count, in some rows of a circuit, the other entries at least as large as the one on the diagonal, up to `most`.

    The token is among its own top k if fewer than k others reach it; ties count against it, so a circuit
    of zeros copies nothing. By chance, k / d_vocab of the tokens are among their own top k.

    A row that surpasses its diagonal `most` times among a few columns needs no others: of rows ranked by chance,
    all but most / few of them.

    Args:
        rows: of these tokens; the circuit's are rows @ columns^T.
        columns: of the whole vocabulary.
        tokens: whose rows these are.
        tile: rows held at a time; memory is tile x d_vocab numbers.
        most: where to stop counting.

    Returns:
        0 where the diagonal is the strict maximum of its row, at most `most`.
    """
    few = spread(len(columns), math.isqrt(most * len(columns)))
    counts = torch.full_like(tokens, most)
    parts = torch.arange(len(tokens)).split(tile)
    left = torch.cat([part[_within(rows[part], columns, tokens[part], few, most)] for part in parts])
    for part in left.split(tile):
        entries = rows[part] @ columns.mT
        # Taken from the product itself: computed another way it could differ in its last bit.
        diagonal = entries.gather(1, einops.rearrange(tokens[part], "row -> row 1"))
        counts[part] = ((entries >= diagonal).sum(-1) - 1).clamp(max=most)
    return counts


def _within(
    rows: Float[Tensor, "row rank"],
    columns: Float[Tensor, "d_vocab rank"],
    tokens: Int[Tensor, " row"],
    few: Int[Tensor, " column"],
    most: int,
) -> Bool[Tensor, " row"]:
    """Say which rows surpass their diagonal less than `most` times among a few columns, whatever rounding does."""
    own = columns[tokens]
    longest = columns[few].norm(dim=-1).amax().maximum(own.norm(dim=-1))
    rounding = 4 * rows.shape[-1] * torch.finfo(rows.dtype).eps * rows.norm(dim=-1) * longest
    surpassed = einops.rearrange((rows * own).sum(-1) + rounding, "row -> row 1")
    return (rows @ columns[few].mT > surpassed).sum(-1) < most


def spread(d_vocab: int, most: int) -> Int[Tensor, " token"]:
    """Choose at most `most` tokens, evenly spaced over the vocabulary: all of it if it is no larger."""
    return torch.arange(min(d_vocab, most)) * d_vocab // min(d_vocab, most)


def olsson_scores(
    pattern: Float[Tensor, "batch head query key"],
    output: Float[Tensor, "batch head query d_model"],
    directions: Float64[Tensor, "batch key d_model"],
) -> Float64[Tensor, "batch head"]:
    """Does a head, on random tokens, raise the logits of the tokens it attends to, and of no others?

    The head's output is read as logits, centred over the vocabulary; the positive part is the rise. With
    `a` the rise of the attended tokens (weighted by attention) and `s` the rise of all the sample's
    tokens, both summed over queries, the ratio a / (a + s) lies in 0 ... 0.5, and the score is four times
    the ratio, minus 1. A query counts as much as it attends to the sample, and not to [BEGIN].

    Args:
        pattern: attention of one layer over the sample's tokens only ([BEGIN]
            left out), so rows may sum to less than 1.
        output: what the heads add to the residual stream there.
        directions: of each of the sample's tokens, none of which comes twice: its column of W_U, with the last norm's
            gain folded in, less the mean of all tokens'.

    Returns:
        1 if only attended tokens rise, -1 if none of them does; NaN where a head
        raises nothing.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads", appendix; the weighting by
    attention is a reading of it, for heads that attend to several tokens at once.
    """
    axes = "batch head query d_model, batch key d_model -> batch head query key"
    rise = einops.einsum(output.double(), directions, axes).relu()
    pattern = pattern.double()
    attended = (pattern * rise).sum((-2, -1))
    total = (pattern.sum(-1) * rise.sum(-1)).sum(-1)
    return 4 * attended / (attended + total) - 1


def olsson_chance(length: int) -> float:
    """The score of a head that raises all `length` tokens of the sample alike, wherever it attends."""
    return 4 / (length + 1) - 1
