"""The plain ways to a circuit's strongest pairs, which the exact search is measured against."""

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor


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
