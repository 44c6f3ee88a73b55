"""Tall matrices that are never formed: the rows of a large one, read through a small one, where they are needed.

Every head reads the same embedding, so what is known of its rows serves all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, reduce
from math import sqrt

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

ROUNDOFF = {torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24, torch.float64: 2.0**-53}
SMALLEST = {torch.float32: 2.0**-126, torch.float64: 2.0**-1022}
AT_ONCE = 1024  # rows in float64 at a time: what fits a cache is several times as fast
SAMPLED = 2**21  # numbers, nearly, that a basis is chosen by
BLOCK = 64  # rows of one exact product: products of one shape add up in one order


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that tall matrices share, and what is worked out of them once, in float64."""

    values: Float[Tensor, "row width"]  # float32 or float64, contiguous

    @cached_property
    def lengths(self) -> Float64[Tensor, " row"]:
        """Never below the true length."""
        parts = [torch.linalg.vector_norm(part, dim=1) for part in in_float64(self.values)]
        return torch.cat(parts) * (1 + 1e-9)

    @cached_property
    def sampled_gram(self) -> Float64[Tensor, "width width"]:
        """The gram of evenly spaced rows, of all if they are few."""
        step = max(1, self.values.numel() // SAMPLED)
        return products(self.values[::step], self.values[::step])

    @cached_property
    def mean(self) -> Float64[Tensor, " width"]:
        """The mean row."""
        return reduce(torch.add, (part.sum(0) for part in in_float64(self.values))) / len(self.values)

    @cached_property
    def spread(self) -> Float64[Tensor, "width width"]:
        """The gram of the rows less their mean."""
        parts = (part.sub_(self.mean) for part in in_float64(self.values))
        return reduce(torch.add, (part.T @ part for part in parts))

    @cached_property
    def gram(self) -> Float64[Tensor, "width width"]:
        """The sum of each row's product with itself."""
        return self.spread + len(self.values) * torch.outer(self.mean, self.mean)

    @cached_property
    def root(self) -> tuple[Float64[Tensor, "width width"], Float64[Tensor, "width width"]]:
        """R and S: the rows are (rows S) R, and those of rows S have the identity for a gram.

        That is of the directions in which rows extend by more than rounding; S is 0 in the others.
        """
        sizes, directions = torch.linalg.eigh(self.gram)
        real = sizes > 10 * len(sizes) * ROUNDOFF[torch.float64] * sizes[-1]
        roots = sizes.clamp_min(0).sqrt()
        return roots[:, None] * directions.T, directions * torch.where(real, 1 / roots, 0.0)


def in_float64(values: Float[Tensor, "row width"]) -> Iterator[Float64[Tensor, "some width"]]:
    """Yield some rows at a time, in memory that the next ones take: asking for new each time takes longer."""
    buffer = values.new_empty(values[:AT_ONCE].shape, dtype=torch.float64)
    for part in values.split(AT_ONCE):
        yield buffer[: len(part)].copy_(part)


def within_range(
    vectors: Float[Tensor, "vector width"], others: Float[Tensor, "..."]
) -> tuple[Float[Tensor, "vector width"], float]:
    """Divide vectors by a power of two, so that products with others are near 1: in range, however large both are.

    Returns:
        The vectors so divided, and the power of two that their products are to be multiplied with, in float64.
    """
    exponents = [int(torch.frexp(torch.stack(x.aminmax()).abs().max()).exponent) for x in (vectors, others)]
    for exponent in exponents:  # at once it could leave the range
        vectors = vectors / 2.0**exponent
    return vectors, 2.0 ** sum(exponents)


def products(left: Float[Tensor, "row left"], right: Float[Tensor, "row right"]) -> Float64[Tensor, "left right"]:
    """The float64 product left^T right of two tall matrices, without a float64 copy of either."""
    parts = zip(in_float64(left), in_float64(right), strict=True)
    return reduce(torch.add, (left_part.T @ right_part for left_part, right_part in parts))


@dataclass(frozen=True, eq=False)
class Tall:
    """The product of rows [n, width] and a matrix [width, rank]."""

    rows: Rows
    matrix: Float64[Tensor, "width rank"]

    @classmethod
    def of(cls, formed: Tensor) -> "Tall":
        """Return a matrix [row, rank] that is formed already as one that is not.

        Raises:
            ValueError: it is no float64 matrix.
        """
        if formed.ndim != 2 or formed.dtype != torch.float64:
            raise ValueError(f"a factor is {formed.dtype} {list(formed.shape)}; give a float64 matrix")
        return cls(Rows(formed), torch.eye(formed.shape[1], dtype=torch.float64, device=formed.device))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows.values)

    @property
    def rank(self) -> int:
        """Number of columns."""
        return self.matrix.shape[1]

    @property
    def sampled_gram(self) -> Float64[Tensor, "rank rank"]:
        """As that of the rows."""
        return self.matrix.T @ self.rows.sampled_gram @ self.matrix

    @property
    def longest(self) -> float:
        """A bound on every row's length, also on its length before anything cancels."""
        return float(self.rows.lengths.max() * self.matrix.norm()) * (1 + 1e-9)

    def exact(self, ids: Int[Tensor, " id"]) -> Float64[Tensor, "id rank"]:
        """Return these rows; each is the same bits, whichever others are asked for."""
        wanted, places = ids.to(self.rows.values.device).unique(return_inverse=True)
        filled = torch.cat([wanted, wanted[:1].expand(-len(wanted) % BLOCK)])
        blocks = [self.rows.values[block].double() @ self.matrix for block in filled.split(BLOCK)]
        return torch.cat(blocks)[places]

    def formed(self, first: int | None = None) -> Float64[Tensor, "row column"]:
        """Return the first columns, all if None."""
        matrix = self.matrix[:, :first]
        return torch.cat([part @ matrix for part in in_float64(self.rows.values)])

    def reader(self, basis: Float64[Tensor, "rank rank"]) -> tuple[Float[Tensor, "width rank"], float]:
        """Return what brings rows into a basis, and how far off the result can be.

        Args:
            basis: the vectors that rows are to be told by, as columns.

        Returns:
            A matrix in the rows' precision, and a number: the rows' product with it, added up in that
            precision in any order, differs from the true one by at most the number times a row's length.

        Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.5.
        """
        precise = self.matrix @ basis
        dtype = self.rows.values.dtype
        reading, width = precise.to(dtype), len(precise)
        error = (width + 2) * ROUNDOFF[dtype] * float(reading.double().norm())
        error += (self.rank + 2) * ROUNDOFF[torch.float64] * float(self.matrix.norm() * basis.norm())
        error += sqrt(precise.numel()) * SMALLEST[dtype]  # of what is flushed to zero
        return reading, 1.01 * error
