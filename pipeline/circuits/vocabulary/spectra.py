"""What a circuit P Q^T is as a whole: its mean and spread, eigenvalues and singular directions.

All of it comes from rank x rank matrices, in float64; the d_vocab x d_vocab matrix is never formed.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex128, Float64
from torch import Tensor
from torch.nn.functional import pad

from pipeline.circuits.vocabulary.tall import ROUNDOFF, Tall


@dataclass(frozen=True)
class Spectrum:
    """Eigenvalues and singular values by decreasing size, as many as the smaller of rank and d_vocab."""

    eigenvalues: Complex128[Tensor, " index"]  # equal sizes by decreasing real, then imaginary part
    singular_values: Float64[Tensor, " index"]
    left: Float64[Tensor, "row direction"]  # what rows read, unit length; each one's largest component is positive
    right: Float64[Tensor, "column direction"]  # what columns receive, unit length


def spectrum(
    P: Tall, Q: Tall, meeting: Float64[Tensor, "column_width row_width"], directions: int | None = None
) -> Spectrum:
    """Decompose the circuit P Q^T.

    Eigenvalues need as many rows as columns. What is a singular direction of a singular value of zero, or
    of two equal ones, is arbitrary: see `relative_gaps`.

    Args:
        P: [d_vocab, rank].
        Q: [d_vocab, rank].
        meeting: the product of Q's rows, turned, and P's rows, which all circuits between these rows share.
        directions: singular directions wanted, those of the largest values first; all if None.
    """
    size = min(len(P), P.rank)
    # AB and BA share their non-zero eigenvalues.
    found = ordered_eigenvalues(Q.matrix.T @ meeting @ P.matrix)
    left, left_small = torch.linalg.qr(P.rows.root[0] @ P.matrix)
    right, right_small = torch.linalg.qr(Q.rows.root[0] @ Q.matrix)
    U, singular_values, Vh = torch.linalg.svd(left_small @ right_small.T)
    left = _orthonormal(Tall(P.rows, P.rows.root[1] @ left @ U[:, :size][:, :directions]).formed())
    right = _orthonormal(Tall(Q.rows, Q.rows.root[1] @ right @ Vh[:size][:directions].T).formed())
    signs = left.gather(0, left.abs().argmax(0, keepdim=True)).sign()
    singular_values = pad(singular_values, (0, P.rank - len(singular_values)))[:size]
    return Spectrum(found[:size], singular_values, left * signs, right * signs)


def ordered_eigenvalues(matrix: Float64[Tensor, "n n"]) -> Complex128[Tensor, " n"]:
    """Return a matrix's eigenvalues by decreasing size; equal sizes by decreasing real, then imaginary part."""
    found = eigenvalues(matrix)
    for key in (torch.imag, torch.real, torch.abs):  # stable: the last key leads
        found = found[torch.argsort(key(found), descending=True, stable=True)]
    return found


def eigenvalues(matrix: Float64[Tensor, "... n n"]) -> Complex128[Tensor, "... n"]:
    """Return each matrix's eigenvalues, in no order.

    By NumPy's LAPACK: the one that torch brings does not converge on many matrices with equal rows. It takes one matrix
    after another; torch's threads share them.
    """
    stack = matrix.detach().cpu().reshape(-1, *matrix.shape[-2:]).numpy()
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        parts = threads.map(np.linalg.eigvals, np.array_split(stack, torch.get_num_threads()))
        found = np.concatenate([part.astype(np.complex128) for part in parts])
    return torch.from_numpy(found).reshape(matrix.shape[:-1]).to(matrix.device)


def _orthonormal(directions: Float64[Tensor, "row direction"]) -> Float64[Tensor, "row direction"]:
    """Directions that are nearly at right angles, wholly so; any for what is 0."""
    basis, turns = torch.linalg.qr(directions)
    return torch.where(turns.diagonal() < 0, -basis, basis)


def relative_gaps(singular_values: Float64[Tensor, " index"], d_vocab: int) -> Float64[Tensor, " index"]:
    """Distance to the next smaller singular value, as a share of the value itself, 0 ... 1.

    Near 0, the direction is any mixture with the next one's, and small changes of the weights turn it.
    Values of a circuit beyond its rank are 0. NaN for a value of 0, and for the d_vocab-th, the last.

    Args:
        singular_values: by decreasing size.
        d_vocab: rows of the circuit.
    """
    following = torch.full_like(singular_values[:1], 0.0 if len(singular_values) < d_vocab else torch.nan)
    following = torch.cat([singular_values[1:], following])
    return (singular_values - following) / torch.where(singular_values > 0, singular_values, torch.nan)


def moments(P: Tall, Q: Tall) -> tuple[float, float]:
    """Mean and standard deviation of all entries of P Q^T.

    The deviation is 0 where rounding does not tell it from that: if entries are all equal, or so small beside what
    cancels in them (a head that reads nothing of the vocabulary) that less than two digits of it would be right.
    """
    p, q = (factor.rows.mean @ factor.matrix for factor in (P, Q))
    gram_p, gram_q = (factor.matrix.T @ factor.rows.spread @ factor.matrix / len(factor) for factor in (P, Q))
    # Spread of rows and columns together, of columns alone, of rows alone: sums of squares, so that nothing
    # is lost where the mean is large.
    variance = (gram_p * gram_q).sum() + p @ gram_q @ p + q @ gram_p @ q
    size_p, size_q = gram_p.trace() + p @ p, gram_q.trace() + q @ q
    off = _forming(P) * size_q + size_p * _forming(Q)
    return float(p @ q), float(variance.sqrt()) if variance > 100 * off else 0.0


def _forming(factor: Tall) -> Float64[Tensor, ""]:
    """How far off rounding puts the mean square of a factor's rows less their mean: a share of what cancels in it."""
    rounding = 10 * len(factor.matrix) * ROUNDOFF[torch.float64]
    cancelling = rounding * factor.rows.spread.trace() / len(factor) + (rounding * factor.rows.mean.norm()) ** 2
    return cancelling * factor.matrix.norm() ** 2


def centred(
    values: Float64[Tensor, " n"], mean: float, deviation: float, resolution: float = 1e-12
) -> Float64[Tensor, " n"]:
    """Distance from the mean in standard deviations; NaN where entries vary by no larger a share than `resolution`."""
    varies = deviation > resolution * max(abs(mean), float(values.abs().max()) if len(values) else 0.0)
    return (values - mean) / (deviation if varies else torch.nan)
