"""A token-to-token circuit by the small products that its scores need.

A circuit is given by factors, never as the d_vocab x d_vocab matrix M: M = rows @ columns^T. For a head's OV circuit
W_E W_V W_O W_U, rows are W_E W_V and columns (W_O W_U)^T; for its QK circuit, W_E W_Q and W_E W_K. Its trace and
non-zero eigenvalues are those of columns^T rows, its sum of squares is tr(rows^T rows columns^T columns): nothing
exceeds rank x rank.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

PORTION = 4096  # rows of a circuit in float64 at a time


@dataclass(frozen=True)
class Grams:
    """A circuit rows @ columns^T by its products on the side of its rank; many along leading axes."""

    cross: Float64[Tensor, "... rank rank"]  # columns^T rows
    rows: Float64[Tensor, "... rank rank"]  # rows^T rows
    columns: Float64[Tensor, "... rank rank"]  # columns^T columns
    row_mean: Float64[Tensor, "... rank"]
    column_mean: Float64[Tensor, "... rank"]
    size: int  # the circuit has size x size entries

    @classmethod
    def of(cls, rows: Float[Tensor, "size rank"], columns: Float[Tensor, "size rank"]) -> "Grams":
        """Take the products of rows and columns."""
        cross, row_squares, column_squares = torch.zeros(3, rows.shape[1], rows.shape[1], dtype=torch.float64)
        for left, right in zip(rows.split(PORTION), columns.split(PORTION), strict=True):
            left, right = left.double(), right.double()
            cross, row_squares = cross + right.mT @ left, row_squares + left.mT @ left
            column_squares = column_squares + right.mT @ right
        row_mean, column_mean = (side.mean(0, dtype=torch.float64) for side in (rows, columns))
        return cls(cross, row_squares, column_squares, row_mean, column_mean, len(rows))

    def through(self, read: Float64[Tensor, "... rank new"], written: Float64[Tensor, "... rank new"]) -> "Grams":
        """Return the circuits rows @ read @ (columns @ written)^T, of a rank of their own."""
        return type(self)(
            written.mT @ (self.cross @ read),
            read.mT @ (self.rows @ read),
            written.mT @ (self.columns @ written),
            _times(self.row_mean, read),
            _times(self.column_mean, written),
            self.size,
        )

    def turned(self, turns: Float64[Tensor, "draw rank rank"]) -> "Grams":
        """Return the circuits rows @ turn @ columns^T."""
        return type(self)(
            self.cross @ turns,
            turns.mT @ self.rows @ turns,
            self.columns,
            _times(self.row_mean, turns),
            self.column_mean,
            self.size,
        )


def _times(vector: Float64[Tensor, "... rank"], matrix: Float64[Tensor, "... rank new"]) -> Float64[Tensor, "... new"]:
    """Return each vector times its matrix."""
    return (vector[..., None, :] @ matrix).squeeze(-2)
