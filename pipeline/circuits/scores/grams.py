"""A token-to-token circuit by the small products that its scores need.

A circuit is given by factors, never as the d_vocab x d_vocab matrix M: M = rows @ columns^T, with rows and columns
[d_vocab, rank]. For a head's OV circuit W_E W_V W_O W_U, rows are W_E W_V and columns (W_O W_U)^T; for its QK circuit,
W_E W_Q and W_E W_K. Its trace and non-zero eigenvalues are those of columns^T rows, its sum of squares is
tr(rows^T rows columns^T columns): nothing exceeds rank x rank.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

PORTION = 4096  # rows of a circuit in float64 at a time


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


def _times(vector: Tensor, matrix: Tensor) -> Tensor:
    """Return vectors [..., rank] @ matrices [..., rank, new rank]."""
    return (vector[..., None, :] @ matrix).squeeze(-2)
