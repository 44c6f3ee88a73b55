"""What chance gives for the scores of a circuit's diagonal: random heads in the same model.

A circuit left W right^T holds a head's own matrix W [d_model, d_model] of rank d_head, between what it reads and
what its writing is read by: embedding, unembedding, the matrices of other heads. Chance replaces W alone.

*rotation*: W = A S B^T (A and B singular vectors, S singular values) becomes A S O B^T with O uniform among
orthogonal d_head x d_head matrices. Kept are the singular values, the directions read and how strongly each,
and the space written to; lost is only which direction read becomes which direction written. Where random weights
favour no direction, as Gaussian ones do, W and its rotations are exchangeable, and p values of draws are exact
(Hemerik and Goeman 2018, "Exact testing with random permutations").

*gaussian*: both factors of W are Gaussian. The scores ignore a circuit's size, so that the same draws serve all
heads that stand between the same left and right.

Each draw needs products with d_head on both sides alone (`Grams`): the circuit's trace and non-zero eigenvalues
are those of columns^T rows, its sum of squares is tr(rows^T rows columns^T columns).
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from pipeline.circuits.chance.random_matrices import gaussian, orthogonal
from pipeline.circuits.scores.copying import eigenvalue_score

PORTION = 4096  # rows of a circuit in float64 at a time
AT_ONCE = 128  # Gaussian matrices held at a time


@dataclass(frozen=True)
class Grams:
    """A circuit rows @ columns^T by its products on the side of its rank, float64; many along leading axes."""

    cross: Tensor  # [..., rank, rank], columns^T rows
    rows: Tensor  # [..., rank, rank], rows^T rows
    columns: Tensor  # [..., rank, rank], columns^T columns
    row_mean: Tensor  # [..., rank]
    column_mean: Tensor  # [..., rank]
    size: int  # the circuit has size x size entries

    @classmethod
    def of(cls, rows: Tensor, columns: Tensor) -> "Grams":
        """Take the products of rows and columns, both [size, rank]."""
        cross, row_squares, column_squares = 0, 0, 0
        for left, right in zip(rows.split(PORTION), columns.split(PORTION), strict=True):
            left, right = left.double(), right.double()
            cross, row_squares = cross + right.mT @ left, row_squares + left.mT @ left
            column_squares = column_squares + right.mT @ right
        means = (side.mean(0, dtype=torch.float64) for side in (rows, columns))
        return cls(cross, row_squares, column_squares, *means, len(rows))

    def through(self, read: Tensor, written: Tensor) -> "Grams":
        """Return the circuits rows @ read @ (columns @ written)^T; both [..., rank, new rank]."""
        return type(self)(
            written.mT @ (self.cross @ read),
            read.mT @ (self.rows @ read),
            written.mT @ (self.columns @ written),
            _times(self.row_mean, read),
            _times(self.column_mean, written),
            self.size,
        )

    def turned(self, turns: Tensor) -> "Grams":
        """Return the circuits rows @ turn @ columns^T, for turns [draw, rank, rank]."""
        return type(self)(
            self.cross @ turns,
            turns.mT @ self.rows @ turns,
            self.columns,
            _times(self.row_mean, turns),
            self.column_mean,
            self.size,
        )


def balanced(read: Tensor, written: Tensor) -> tuple[Tensor, Tensor]:
    """Split a head's matrix W = read @ written^T into A S and B of its singular value decomposition A S B^T.

    Args:
        read: [d_model, d_head], W_V or W_Q.
        written: [d_model, d_head], W_O^T or W_K.

    Returns:
        Both [d_model, d_head], float64: the first's columns are orthogonal, the second's orthonormal.
    """
    A, read_small = torch.linalg.qr(read.double())
    B, written_small = torch.linalg.qr(written.double())
    left, singular_values, right = torch.linalg.svd(read_small @ written_small.mT, full_matrices=False)
    return A @ (left * singular_values), B @ right.mT


def eigenvalue(circuits: Grams) -> Tensor:
    """Re(sum z) / sum |z| of the circuits' eigenvalues z: [...]; see `copying.eigenvalue_score`."""
    return eigenvalue_score(circuits.cross, torch.eye(circuits.cross.shape[-1]))


def diagonal_z(circuits: Grams) -> Tensor:
    """(mean diagonal - mean entry) / sd of entries of the circuits: [...]; see `copying.diagonal_z`."""
    mean = (circuits.row_mean * circuits.column_mean).sum(-1)
    squares = (circuits.rows * circuits.columns).sum((-2, -1)) / circuits.size**2
    variance = squares - mean**2
    return (trace(circuits) / circuits.size - mean) / variance.where(variance > 1e-12 * squares, torch.nan).sqrt()


def trace(circuits: Grams) -> Tensor:
    """Sum of the circuits' diagonals: [...]."""
    return circuits.cross.diagonal(dim1=-2, dim2=-1).sum(-1)


SCORES = {"eigenvalue": eigenvalue, "diagonal_z": diagonal_z, "trace": trace}


def rotations(circuit: Grams, names: tuple[str, ...], draws: int, generator: Generator) -> dict[str, Tensor]:
    """Draw scores of one head's circuit under *rotation*: [draw] each.

    -O is as probable as O, and changes the sign of every score: each draw counts with both signs, which makes the
    mean exactly 0.

    Args:
        circuit: the model's left and right, `through` the head's `balanced` halves.
        names: of `SCORES`.
        draws: an even number.
        generator: decides the draws.
    """
    turned = circuit.turned(orthogonal(draws // 2, circuit.cross.shape[-1], generator))
    return {name: _with_both_signs(SCORES[name](turned)) for name in names}


def gaussians(model: Grams, d_head: int, names: tuple[str, ...], draws: int, generator: Generator) -> dict[str, Tensor]:
    """Draw scores of the circuits of random heads under *gaussian*: [draw] each, with both signs as `rotations`.

    Args:
        model: left and right, both [size, d_model].
        d_head: rank of the random heads.
        names: of `SCORES`; not `trace`, which depends on the circuit's size.
        draws: an even number.
        generator: decides the draws.
    """
    parts = []
    for part in torch.arange(draws // 2).split(AT_ONCE):
        read, written = gaussian(2, len(part), len(model.cross), d_head, generator=generator)
        circuits = model.through(read, written)
        parts.append(torch.stack([SCORES[name](circuits) for name in names]))
    return {name: _with_both_signs(scores) for name, scores in zip(names, torch.cat(parts, -1), strict=True)}


def relabelled_sd(circuit: Grams) -> Tensor:
    """Standard deviation [...] of `diagonal_z` where the tokens of one side change places; its mean is 0.

    For a random permutation s, the sum of M[t, s(t)] has the variance sum D^2 / (size - 1), with D the circuit
    less the means of its rows and of its columns, and is nearly normal.

    Source: Hoeffding 1951, "A combinatorial central limit theorem".
    """
    rows, columns = (
        squares - circuit.size * mean[..., None] * mean[..., None, :]
        for squares, mean in ((circuit.rows, circuit.row_mean), (circuit.columns, circuit.column_mean))
    )
    mean = (circuit.row_mean * circuit.column_mean).sum(-1)
    variance = (circuit.rows * circuit.columns).sum((-2, -1)) - (circuit.size * mean) ** 2
    return ((rows * columns).sum((-2, -1)) / variance / (circuit.size - 1)).sqrt()


def _times(vector: Tensor, matrix: Tensor) -> Tensor:
    """Return vectors [..., rank] @ matrices [..., rank, new rank]."""
    return (vector[..., None, :] @ matrix).squeeze(-2)


def _with_both_signs(scores: Tensor) -> Tensor:
    return torch.cat([scores, -scores])
