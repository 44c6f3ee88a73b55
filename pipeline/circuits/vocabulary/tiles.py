"""The blocks of a product of two factors that are worth multiplying, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Int, Num
from torch import Tensor

from pipeline.circuits.vocabulary.balance import Balanced, OrderedRows
from pipeline.circuits.vocabulary.integers import Whole, whole
from pipeline.circuits.vocabulary.pair_list import PairList

FEWEST = 2**26  # entries; fewer are scored in floats before integers are ready
RESCORED = 2**12  # entries of a tile that take as long as one exact value


@dataclass(frozen=True)
class Tile:
    """Scores of a block of rows and columns; entries are `scale` times these, right up to `error`.

    That is before a score was rounded to be stored, which changed it by `output` times its size at most.
    """

    scores: Num[Tensor, "row column"]  # in the precision of scoring
    rows: Int[Tensor, " row"]  # ids
    columns: Int[Tensor, " column"]  # ids
    scale: float
    error: float
    output: float


@dataclass(frozen=True)
class Block:
    """Rows of a factor, one after another."""

    start: int
    end: int
    length: float  # of the longest
    error: float  # the largest


def tiles(
    balanced: Balanced, top: PairList, bottom: PairList, side: int, integers: bool | None = False
) -> Iterator[Tile]:
    """Score the tiles that could hold an entry of a list, longest rows first.

    Args:
        balanced: the factors.
        top: one list.
        bottom: the other.
        side: of a tile that were square.
        integers: whether 8-bit integers are multiplied; None to find out on the way if that is faster.
    """
    # A tall tile is multiplied in two thirds of the time of a square one.
    row_blocks, column_blocks = _blocks(balanced.left, 2 * side), _blocks(balanced.right, max(side // 2, 1))
    in_floats, in_integers = _Floats(balanced, 2 * side * max(side // 2, 1)), _Integers(balanced)

    def may_hold(row: Block, column: Block) -> bool:
        size = balanced.scale * row.length * column.length + balanced.slack
        return top.may_hold(size) or bottom.may_hold(size)

    for place, row in enumerate(row_blocks):
        if integers is None and row.start >= 2 * side:  # from here on blocks are of one size
            rest = ((row, column) for row in row_blocks[place:] for column in column_blocks if may_hold(row, column))
            left = sum((row.end - row.start) * (column.end - column.start) for row, column in rest)
            integers = left >= FEWEST and _few_doubts(
                *(way.scored(row, column_blocks[len(column_blocks) // 2]) for way in (in_floats, in_integers)),
                threshold=min(top.threshold, bottom.threshold),
            )
        for column in column_blocks:
            if not may_hold(row, column):
                if column.start == 0:
                    return  # later rows are shorter still
                break
            yield (in_integers if integers else in_floats).scored(row, column)


def _few_doubts(floats: Tile, integers: Tile, threshold: float) -> bool:
    """Whether integers leave so few entries in doubt that they are worth it: entries of a list reach a threshold."""
    in_doubt = floats.scale * floats.scores.abs().double() >= threshold - integers.error
    return int(in_doubt.sum()) * RESCORED <= floats.scores.numel()


class _Floats:
    """Scores tiles in the precision of the factors' rows."""

    def __init__(self, balanced: Balanced, most: int) -> None:
        self.balanced = balanced
        self.buffer = balanced.left.rows.new_empty(most)

    def scored(self, row: Block, column: Block) -> Tile:
        balanced, left, right = self.balanced, self.balanced.left, self.balanced.right
        shape = row.end - row.start, column.end - column.start
        scores = self.buffer[: shape[0] * shape[1]].unflatten(0, shape)
        torch.mm(left.rows[row.start : row.end], right.rows[column.start : column.end].T, out=scores)
        ids = left.ids[row.start : row.end], right.ids[column.start : column.end]
        error = balanced.scale * _off(balanced, row, column) + balanced.slack
        return Tile(scores, *ids, balanced.scale, error, balanced.output)


class _Integers:
    """Scores them in 8-bit integers."""

    def __init__(self, balanced: Balanced) -> None:
        self.balanced = balanced
        self.rows: dict[Block, Whole] = {}
        self.columns: dict[Block, Whole] = {}

    def scored(self, row: Block, column: Block) -> Tile:
        balanced, left, right = self.balanced, self.balanced.left, self.balanced.right
        if row not in self.rows:
            self.rows = {row: whole(left.rows[row.start : row.end])}  # blocks of rows come one after another
        if column not in self.columns:
            self.columns[column] = whole(right.rows[column.start : column.end])
        rows, columns = self.rows[row], self.columns[column]
        scores = torch.ops.aten._int_mm(rows.integers, columns.integers.T)
        ids = left.ids[row.start : row.end], right.ids[column.start : column.end]
        # Of rows as they are scored: a rounded one is longer than `length` by less than a hundredth.
        rounding = 1.01 * (rows.off * column.length + (row.length + rows.off) * columns.off)
        error = balanced.scale * (_off(balanced, row, column) + rounding) + balanced.slack
        return Tile(scores, *ids, balanced.scale * rows.step * columns.step, error, 0.0)


def _off(balanced: Balanced, row: Block, column: Block) -> float:
    """Return how far the product of rounded rows is off at most, but for `scale` and `slack`."""
    return balanced.relative * row.length * column.length + row.error * column.length + row.length * column.error


def _blocks(rows: OrderedRows, most: int) -> list[Block]:
    """Blocks of rows: small ones first, to set a threshold cheaply."""
    n, starts = len(rows.lengths), [0]
    while starts[-1] < n:
        starts.append(starts[-1] + min(max(starts[-1], 64), most))
    blocks = [(start, min(end, n)) for start, end in pairwise(starts)]
    return [Block(start, end, float(rows.lengths[start]), float(rows.errors[start:end].max())) for start, end in blocks]
