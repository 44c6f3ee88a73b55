"""The plain ways to a circuit's strongest pairs, which the exact search is measured against."""

import importlib
from collections.abc import Callable
from functools import cache

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

ROWS, COLUMNS = 2048, 512  # of a tile of two_passes: its fastest
Listed = tuple[Int64[Tensor, " pair"], Int64[Tensor, " pair"], Float32[Tensor, " pair"]]  # rows, columns, values
Extremes = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def multiply_tiles(P: Float32[Tensor, "row rank"], Q: Float32[Tensor, "column rank"], side: int) -> None:
    """Compute P Q^T a tile at a time and select nothing: the least that any way of scoring all entries does.

    Args:
        P: the circuit's left factor.
        Q: its right factor.
        side: rows and columns of a tile.
    """
    buffer = torch.empty(side * side)
    for rows in P.split(side):
        for columns in Q.split(side):
            torch.mm(rows, columns.T, out=buffer[: len(rows) * len(columns)].unflatten(0, (len(rows), -1)))


def threshold_dense(
    W_E: Float[Tensor, "d_vocab d_model"],
    W_in: Float[Tensor, "d_model d_head"],
    W_out: Float[Tensor, "d_head d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
    threshold: float,
) -> tuple[Int64[Tensor, " pair"], Int64[Tensor, " pair"], Float[Tensor, " pair"]]:
    """Form the whole circuit W_E W_in W_out W_U and list its entries of at least `threshold`.

    Args:
        W_E: the embedding.
        W_in: what the head reads values with.
        W_out: what it writes them with.
        W_U: the unembedding.
        threshold: in the unit of the entries; the notebook chose it by hand.

    Returns:
        Rows, columns and values, by falling value.

    Source: the second notebook, after Dar et al. 2022, "Analyzing Transformers in Embedding Space".
    """
    circuit = (W_E @ (W_in @ W_out)) @ W_U
    rows, columns = (circuit >= threshold).nonzero().unbind(1)
    values, order = circuit[rows, columns].sort(descending=True)
    return rows[order], columns[order], values


def two_passes(
    P: Float32[Tensor, "row rank"], Q: Float32[Tensor, "column rank"], k: int, compiled: bool
) -> tuple[Listed, Listed]:
    """List the k largest and k smallest entries of P Q^T: every row's extremes, then the rows that hold the lists.

    Args:
        P: the circuit's left factor.
        Q: its right factor.
        k: pairs at each end.
        compiled: whether product and extremes of a tile are what torch.compile makes of them.
    """
    extremes = _compiled_extremes() if compiled else _extremes
    least, largest = P.new_full((len(P),), torch.inf), P.new_full((len(P),), -torch.inf)
    for start in range(0, len(P), ROWS):
        part = slice(start, start + ROWS)
        for columns in Q.split(COLUMNS):
            low, high = extremes(P[part], columns)
            torch.minimum(least[part], low, out=least[part])
            torch.maximum(largest[part], high, out=largest[part])
    return _of_rows(P, Q, k, largest), _of_rows(-P, Q, k, -least)


def faiss_knn(P: Float32[Tensor, "row rank"], Q: Float32[Tensor, "column rank"], k: int) -> tuple[Listed, Listed]:
    """List the same with FAISS: every row's nearest column by inner product, for either end, then those rows.

    Source: Douze et al. 2024, "The Faiss library"; the extra `benchmark`.
    """
    faiss = importlib.import_module("faiss")
    faiss.omp_set_num_threads(torch.get_num_threads())

    def end(P: Tensor) -> Listed:
        nearest, _ = faiss.knn(P.numpy(), Q.numpy(), 1, metric=faiss.METRIC_INNER_PRODUCT)
        return _of_rows(P, Q, k, torch.from_numpy(nearest[:, 0]))

    return end(P), end(-P)


def _extremes(rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    scores = rows @ columns.T
    return scores.amin(1), scores.amax(1)


@cache
def _compiled_extremes() -> Extremes:
    return torch.compile(_extremes, dynamic=False)


def _of_rows(P: Tensor, Q: Tensor, k: int, largest: Tensor) -> Listed:
    """List the k largest entries, given each row's: they lie in the k rows whose largest is largest."""
    rows = largest.topk(min(k, len(P))).indices
    values, places = (P[rows] @ Q.T).flatten().topk(k)
    return rows[places // len(Q)], places % len(Q), values
