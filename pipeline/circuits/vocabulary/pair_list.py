"""The best k pairs met so far, with exact values and a fixed order among equals."""

from dataclasses import dataclass, field
from math import inf

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from pipeline.circuits.vocabulary.tall import Tall
from pipeline.circuits.vocabulary.token_filters import PairFilter

CHUNK = 2**14  # candidates scored in float64 at a time


def entries(P: Tall, Q: Tall, rows: Int[Tensor, " pair"], columns: Int[Tensor, " pair"]) -> Float64[Tensor, " pair"]:
    """The entries of P Q^T at these pairs, the products added in the order of the inner index.

    A matrix product may add in another order for another shape; here equal rows give equal bits.
    """
    products = P.exact(rows) * Q.exact(columns)
    return products.cpu().cumsum(1)[:, -1]  # other devices add up in another order


@dataclass
class PairList:
    """The k largest entries of P Q^T among the candidates offered; of the smallest, if `sign` is -1.

    Values are held with their sign changed in that case, so that larger is always better. Ties go to
    the smaller row, then to the smaller column. Only values strictly between `low` and `high` count.
    """

    P: Tall
    Q: Tall
    k: int
    sign: int
    low: float
    high: float
    allowed: PairFilter | None
    threshold: float = -inf  # the least value that could still enter
    rows: Int[Tensor, " pair"] = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    columns: Int[Tensor, " pair"] = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    values: Float64[Tensor, " pair"] = field(default_factory=lambda: torch.empty(0, dtype=torch.float64))
    waiting: list[tuple[Tensor, Tensor, Tensor]] = field(default_factory=list)
    n_waiting: int = 0

    def __post_init__(self) -> None:
        """Nothing at or below `low` can enter."""
        self.threshold = self.low

    def may_hold(self, size: float) -> bool:
        """Whether entries of at most this size could enter the list."""
        return size >= self.threshold and -size <= self.high

    def offer(
        self, rows: Int[Tensor, " pair"], columns: Int[Tensor, " pair"], bounds: Float64[Tensor, " pair"]
    ) -> None:
        """Hand in candidates, with an upper bound on each one's value; they may be scored later."""
        self.waiting.append((rows, columns, bounds))
        self.n_waiting += len(rows)
        if self.n_waiting >= max(self.k, 64):
            self.settle()

    def settle(self) -> None:
        """Score the waiting candidates, the most promising first, for as long as any could enter."""
        if not self.waiting:
            return
        rows, columns, bounds = (torch.cat(parts) for parts in zip(*self.waiting, strict=True))
        self.waiting, self.n_waiting = [], 0
        order = torch.argsort(bounds, descending=True, stable=True)
        size = max(self.k, 64)  # a few first: they may rule out the rest
        while len(order) and bounds[order[0]] >= self.threshold:
            chunk, order = order[:size], order[size:]
            self._merge(rows[chunk], columns[chunk])
            size = min(2 * size, CHUNK)

    def _merge(self, rows: Int[Tensor, " pair"], columns: Int[Tensor, " pair"]) -> None:
        if self.allowed is not None:
            passing = self.allowed(rows, columns)
            rows, columns = rows[passing], columns[passing]
        values = self.sign * entries(self.P, self.Q, rows, columns)
        inside = (values > self.low) & (values < self.high) & (values >= self.threshold)
        rows = torch.cat([self.rows, rows[inside]])
        columns = torch.cat([self.columns, columns[inside]])
        values = torch.cat([self.values, values[inside]])
        order = torch.arange(len(values))
        for key in (columns, rows, -values):  # stable: the last key leads
            order = order[torch.argsort(key[order], stable=True)]
        order = order[: self.k]
        self.rows, self.columns, self.values = rows[order], columns[order], values[order]
        if len(self.values) == self.k:
            self.threshold = float(self.values[-1])
