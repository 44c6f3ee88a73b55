"""Tall matrices that are never formed: the rows of a large one, read through a small one, where they are needed.

Every head reads the same embedding, so what is known of its rows serves all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import sqrt

import torch
from torch import Tensor

ROUNDOFF = {torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24, torch.float64: 2.0**-53}
SMALLEST = {torch.float32: 2.0**-126, torch.float64: 2.0**-1022}
AT_ONCE = 1024  # rows in float64 at a time: what fits a cache is several times as fast
SAMPLED = 2**21  # numbers, nearly, that a basis is chosen by
BLOCK = 64  # rows of one exact product: products of one shape add up in one order


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that tall matrices share, and what is worked out of them once, in float64."""

    values: Tensor  # [n, width], float32 or float64, contiguous

    @cached_property
    def lengths(self) -> Tensor:
        """[n], never below the true length."""
        parts = [torch.linalg.vector_norm(part, dim=1) for part in in_float64(self.values)]
        return torch.cat(parts) * (1 + 1e-9)

    @cached_property
    def sampled_gram(self) -> Tensor:
        """[width, width]: the gram of evenly spaced rows, of all if they are few."""
        step = max(1, self.values.numel() // SAMPLED)
        return products(self.values[::step], self.values[::step])

    @cached_property
    def mean(self) -> Tensor:
        """[width]."""
        return sum(part.sum(0) for part in in_float64(self.values)) / len(self.values)

    @cached_property
    def spread(self) -> Tensor:
        """[width, width]: the gram of the rows less their mean."""
        parts = (part.sub_(self.mean) for part in in_float64(self.values))
        return sum(part.T @ part for part in parts)

    @cached_property
    def gram(self) -> Tensor:
        """[width, width]: the sum of each row's product with itself."""
        return self.spread + len(self.values) * torch.outer(self.mean, self.mean)

    @cached_property
    def root(self) -> tuple[Tensor, Tensor]:
        """R and S, [width, width]: the rows are (rows S) R, and those of rows S have the identity for a gram.

        That is of the directions in which rows extend by more than rounding; S is 0 in the others.
        """
        sizes, directions = torch.linalg.eigh(self.gram)
        real = sizes > 10 * len(sizes) * ROUNDOFF[torch.float64] * sizes[-1]
        roots = sizes.clamp_min(0).sqrt()
        return roots[:, None] * directions.T, directions * torch.where(real, 1 / roots, 0.0)


def in_float64(values: Tensor) -> Iterator[Tensor]:
    """Yield some rows at a time, in memory that the next ones take: asking for new each time takes longer."""
    buffer = values.new_empty(values[:AT_ONCE].shape, dtype=torch.float64)
    for part in values.split(AT_ONCE):
        yield buffer[: len(part)].copy_(part)


def products(left: Tensor, right: Tensor) -> Tensor:
    """The float64 product left^T right of two tall matrices, without a float64 copy of either."""
    return sum(a.T @ b for a, b in zip(in_float64(left), in_float64(right), strict=True))


@dataclass(frozen=True, eq=False)
class Tall:
    """The product of rows [n, width] and a matrix [width, rank]."""

    rows: Rows
    matrix: Tensor  # [width, rank], float64

    @classmethod
    def of(cls, formed: Tensor) -> "Tall":
        """Return a matrix that is formed already, [n, rank] float64, as one that is not."""
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
    def sampled_gram(self) -> Tensor:
        """[rank, rank]: as that of the rows."""
        return self.matrix.T @ self.rows.sampled_gram @ self.matrix

    @property
    def gram(self) -> Tensor:
        """[rank, rank]: as that of the rows."""
        return self.matrix.T @ self.rows.gram @ self.matrix

    @property
    def longest(self) -> float:
        """A bound on every row's length, also on its length before anything cancels."""
        return float(self.rows.lengths.max() * self.matrix.norm()) * (1 + 1e-9)

    def exact(self, ids: Tensor) -> Tensor:
        """Return these rows in float64, [id, rank]; each is the same bits, whichever others are asked for."""
        wanted, places = ids.to(self.rows.values.device).unique(return_inverse=True)
        filled = torch.cat([wanted, wanted[:1].expand(-len(wanted) % BLOCK)])
        blocks = [self.rows.values[block].double() @ self.matrix for block in filled.split(BLOCK)]
        return torch.cat(blocks)[places]

    def formed(self, first: int | None = None) -> Tensor:
        """Return the first columns in float64, all if None: [n, first]."""
        matrix = self.matrix[:, :first]
        return torch.cat([part @ matrix for part in in_float64(self.rows.values)])

    def reader(self, basis: Tensor) -> tuple[Tensor, float]:
        """Return what brings rows into a basis, and how far off the result can be.

        Args:
            basis: [rank, rank], float64.

        Returns:
            [width, rank] in the rows' precision, and a number: the rows' product with it, added up in that
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
