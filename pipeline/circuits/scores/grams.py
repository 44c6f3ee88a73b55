"""A token-to-token circuit by the small products that its scores need.

A circuit is given by factors, never as the d_vocab x d_vocab matrix M: M = rows @ columns^T. For a head's OV circuit
W_E W_V W_O W_U, rows are W_E W_V and columns (W_O W_U)^T; for its QK circuit, W_E W_Q and W_E W_K. Its trace and
non-zero eigenvalues are those of columns^T rows, its sum of squares is tr(rows^T rows columns^T columns): nothing
exceeds rank x rank. Means are kept apart, so that nothing is lost of what varies beside a large constant.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

PORTION = 4096  # rows of a circuit in float64 at a time


@dataclass(frozen=True)
class Grams:
    """A circuit rows @ columns^T by its products on the side of its rank; many along leading axes."""

    cross: Float64[Tensor, "... rank rank"]  # columns^T rows, of rows and columns less their means; so the next two
    rows: Float64[Tensor, "... rank rank"]  # rows^T rows
    columns: Float64[Tensor, "... rank rank"]  # columns^T columns
    row_mean: Float64[Tensor, "... rank"]
    column_mean: Float64[Tensor, "... rank"]
    size: int  # the circuit has size x size entries
    resolution: float  # entries that vary by no larger share of their mean are equal, as far as rounding tells

    @classmethod
    def of(cls, rows: Float[Tensor, "size rank"], columns: Float[Tensor, "size rank"]) -> "Grams":
        """Take the products of rows and columns."""
        row_mean, column_mean = (side.mean(0, dtype=torch.float64) for side in (rows, columns))
        cross, row_squares, column_squares = torch.zeros(3, rows.shape[1], rows.shape[1], dtype=torch.float64)
        for left, right in zip(rows.split(PORTION), columns.split(PORTION), strict=True):
            left, right = left.double() - row_mean, right.double() - column_mean
            row_squares += left.mT @ left
            if rows is not columns:
                cross, column_squares = cross + right.mT @ left, column_squares + right.mT @ right
        if rows is columns:
            cross = column_squares = row_squares
        resolution = 1e-12 if rows.dtype == torch.float64 else 8 * torch.finfo(rows.dtype).eps
        return cls(cross, row_squares, column_squares, row_mean, column_mean, len(rows), resolution)

    @property
    def whole_cross(self) -> Float64[Tensor, "... rank rank"]:
        """columns^T rows, means and all: the circuit's trace and non-zero eigenvalues are its."""
        return self.cross + self.size * self.column_mean[..., :, None] * self.row_mean[..., None, :]

    @property
    def largest(self) -> Float64[Tensor, "..."]:
        """The size of rows times that of columns (Frobenius norms): at least the sum of all singular values."""
        rows, columns = (
            squares.diagonal(dim1=-2, dim2=-1).sum(-1) + self.size * mean.square().sum(-1)
            for squares, mean in ((self.rows, self.row_mean), (self.columns, self.column_mean))
        )
        return (rows * columns).clamp_min(0).sqrt()

    @property
    def deviation(self) -> Float64[Tensor, "..."]:
        """Standard deviation of the circuit's entries; NaN if they are all equal."""
        spread_row, spread_column = (
            (_times(mean, squares) * mean).sum(-1)
            for mean, squares in ((self.column_mean, self.rows), (self.row_mean, self.columns))
        )
        # Of rows and columns together, of rows alone, of columns alone: sums of squares, so that nothing cancels.
        alone = (spread_row + spread_column) / self.size
        deviation = ((self.rows * self.columns).sum((-2, -1)) / self.size**2 + alone).clamp_min(0).sqrt()
        mean = (self.row_mean * self.column_mean).sum(-1).abs()
        return deviation.where((deviation > self.resolution * mean) & (deviation > 0), torch.nan)

    def through(self, read: Float64[Tensor, "... rank new"], written: Float64[Tensor, "... rank new"]) -> "Grams":
        """Return the circuits rows @ read @ (columns @ written)^T, of a rank of their own."""
        return type(self)(
            written.mT @ (self.cross @ read),
            read.mT @ (self.rows @ read),
            written.mT @ (self.columns @ written),
            _times(self.row_mean, read),
            _times(self.column_mean, written),
            self.size,
            self.resolution,
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
            self.resolution,
        )


def _times(vector: Float64[Tensor, "... rank"], matrix: Float64[Tensor, "... rank new"]) -> Float64[Tensor, "... new"]:
    """Return each vector times its matrix."""
    return (vector[..., None, :] @ matrix).squeeze(-2)
