"""The plain ways to a circuit's strongest pairs, which the exact search is measured against."""

import torch
from torch import Tensor


def multiply_tiles(P: Tensor, Q: Tensor, side: int) -> None:
    """Compute P Q^T a tile at a time and select nothing: the least that any way of scoring all entries does.

    Args:
        P: [n_rows, rank], float32.
        Q: [n_columns, rank], float32.
        side: rows and columns of a tile.
    """
    buffer = torch.empty(side * side)
    for rows in P.split(side):
        for columns in Q.split(side):
            torch.mm(rows, columns.T, out=buffer[: len(rows) * len(columns)].unflatten(0, (len(rows), -1)))


def threshold_dense(W_E: Tensor, W_in: Tensor, W_out: Tensor, W_U: Tensor, threshold: float) -> tuple[Tensor, ...]:
    """Form the whole circuit W_E W_in W_out W_U in float32 and list its entries of at least `threshold`.

    Args:
        W_E: [d_vocab, d_model].
        W_in: [d_model, d_head].
        W_out: [d_head, d_model].
        W_U: [d_model, d_vocab].
        threshold: in the unit of the entries; the notebook chose it by hand.

    Returns:
        Rows, columns and values, [n] each, by falling value.

    Source: the second notebook, after Dar et al. 2022, "Analyzing Transformers in Embedding Space".
    """
    circuit = (W_E @ (W_in @ W_out)) @ W_U
    rows, columns = (circuit >= threshold).nonzero().unbind(1)
    values, order = circuit[rows, columns].sort(descending=True)
    return rows[order], columns[order], values
