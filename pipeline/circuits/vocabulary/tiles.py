"""The blocks of a product of two factors that are worth multiplying, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.circuits.vocabulary.balance import Balanced, OrderedRows
from pipeline.circuits.vocabulary.pair_list import PairList


@dataclass(frozen=True)
class Tile:
    """Scores of a block of rows and columns; entries are `scale` times these, right up to `error`.

    That is before a score was rounded to be stored, which changed it by `output` times its size at most.
    """

    scores: Float[Tensor, "row column"]  # in the precision of scoring
    rows: Int[Tensor, " row"]  # ids
    columns: Int[Tensor, " column"]  # ids
    scale: float
    error: float
    output: float


def tiles(balanced: Balanced, top: PairList, bottom: PairList, side: int) -> Iterator[Tile]:
    """Score the tiles that could hold an entry of a list, longest rows first."""
    left, right, scale = balanced.left, balanced.right, balanced.scale
    # A tall tile is multiplied in two thirds of the time of a square one.
    row_blocks, column_blocks = _blocks(left, 2 * side), _blocks(right, max(side // 2, 1))
    buffer = left.rows.new_empty(2 * side * max(side // 2, 1))
    for row, row_end, row_length, row_error in row_blocks:
        block, row_ids = left.rows[row:row_end], left.ids[row:row_end]
        for column, column_end, column_length, column_error in column_blocks:
            longest = row_length * column_length
            size = scale * longest + balanced.slack
            if not (top.may_hold(size) or bottom.may_hold(size)):
                if column == 0:
                    return  # later rows are shorter still
                break
            shape = row_end - row, column_end - column
            scores = buffer[: shape[0] * shape[1]].unflatten(0, shape)
            torch.mm(block, right.rows[column:column_end].T, out=scores)
            off = balanced.relative * longest + row_error * column_length + row_length * column_error
            error = scale * off + balanced.slack
            yield Tile(scores, row_ids, right.ids[column:column_end], scale, error, balanced.output)


def _blocks(rows: OrderedRows, most: int) -> list[tuple[int, int, float, float]]:
    """Start, end, longest length and largest error of blocks of rows: small ones first, to set a threshold cheaply."""
    n, starts = len(rows.lengths), [0]
    while starts[-1] < n:
        starts.append(starts[-1] + min(max(starts[-1], 64), most))
    blocks = [(start, min(end, n)) for start, end in pairwise(starts)]
    return [(start, end, float(rows.lengths[start]), float(rows.errors[start:end].max())) for start, end in blocks]
