"""The exact strongest entries of a circuit P Q^T, from vocabulary to vocabulary, never holding it.

"Exact" means: the pairs, their order and their values are those of scoring every entry in float64, adding
the products in the order of the inner index, and sorting by value, then row, then column. Tiles are scored
in bfloat16 or float32, whichever the processor multiplies faster; whatever the proven error leaves in doubt
is scored again in float64. Rows are taken longest first, so that all tiles whose lengths cannot reach the
list (Cauchy-Schwarz) are never multiplied. Where that rules out little, the rest is scored in 8-bit integers, if
the processor multiplies these faster still and a tile shows that their error leaves little in doubt.
"""

from dataclasses import dataclass
from math import inf, isqrt

import torch
from jaxtyping import Bool, Float64, Int, Num
from torch import Tensor

from pipeline.circuits.vocabulary.balance import balance, fast_precision
from pipeline.circuits.vocabulary.integers import has_fast_integers
from pipeline.circuits.vocabulary.pair_list import CHUNK, PairList
from pipeline.circuits.vocabulary.tall import Tall
from pipeline.circuits.vocabulary.tiles import Tile, tiles
from pipeline.circuits.vocabulary.token_filters import PairFilter

TILE_BYTES = {"cpu": 2**22, "cuda": 2**28}
BYTES = 4  # of a score in float32, or of a sum of integers


@dataclass(frozen=True)
class Pairs:
    """The strongest pairs towards one end, strongest first."""

    rows: Int[Tensor, " pair"]
    columns: Int[Tensor, " pair"]
    values: Float64[Tensor, " pair"]


@dataclass(frozen=True)
class TopPairs:
    """Both ends of a circuit, and how many entries were computed to find them."""

    top: Pairs
    bottom: Pairs
    entries_scored: int


def top_pairs(
    P: Tall | Tensor,
    Q: Tall | Tensor,
    k: int,
    rows: Bool[Tensor, " row"] | None = None,
    columns: Bool[Tensor, " column"] | None = None,
    allowed: PairFilter | None = None,
    low: float = -inf,
    high: float = inf,
    tile_bytes: int | None = None,
    precision: torch.dtype | None = None,
) -> TopPairs:
    """Find the k largest and the k smallest entries of P Q^T among the pairs that pass every filter.

    Args:
        P: [row, rank], formed in float64 or not at all.
        Q: [column, rank], as P.
        k: pairs at each end.
        rows: which to consider; all if None.
        columns: which to consider; all if None.
        allowed: from row ids [n] and column ids [n] to bool [n], pairs to consider; all if None.
        low: only entries above this count.
        high: only entries below this count. With `low` or `high` a list may be shorter than k.
        tile_bytes: size of a float32 tile of scores, best at the size of the cores' own caches; None for that. The
            factors' copies (20 bytes a number at most) come on top, and 60 times the tile in the worst case,
            a tile of ties.
        precision: of the scores, float32, bfloat16 or int8; None for the fastest. It changes no pair and no value.

    Raises:
        ValueError: factors that do not fit or are not finite, filters that leave nothing, fewer than k pairs;
            a precision that the processor does not have.
    """
    P, Q = (factor if isinstance(factor, Tall) else Tall.of(factor) for factor in (P, Q))
    _refuse_bad_factors(P, Q, k)
    row_ids, column_ids = _considered(rows, P, "row"), _considered(columns, Q, "column")
    n_pairs = len(row_ids) * len(column_ids)
    if k > n_pairs:
        raise ValueError(f"top_pairs: k = {k}, but only {n_pairs} pairs pass the filters; lower k")
    top = PairList(P, Q, k, +1, low, high, allowed)
    bottom = PairList(P, Q, k, -1, -high, -low, allowed)
    # Of k + 1 equal rows the last can hold nothing that the others do not, unless a filter looks at pairs.
    most = k if allowed is None else None
    device = P.matrix.device
    if precision == torch.int8 and not has_fast_integers(device):
        raise ValueError("top_pairs: precision = int8, but this processor adds up products of integers with errors")
    integers = precision == torch.int8 or (None if precision is None and has_fast_integers(device) else False)
    of_rows = fast_precision(device) if precision in (None, torch.int8) else precision
    balanced = balance(P, Q, row_ids, column_ids, of_rows, most)
    side = isqrt((tile_bytes or TILE_BYTES[device.type]) // BYTES)
    entries_scored = 0
    for tile in tiles(balanced, top, bottom, side, integers):
        entries_scored += tile.scores.numel()
        _offer(tile, top)
        _offer(tile, bottom)
    for end in (top, bottom):
        _offer_zeros(end, balanced.left.zeros, column_ids)
        _offer_zeros(end, balanced.left.ids, balanced.right.zeros)
    for end in (top, bottom):
        end.settle()
        if len(end.values) < k and (low, high) == (-inf, inf):
            raise ValueError(f"top_pairs: k = {k}, but only {len(end.values)} pairs pass the filters; lower k")
    return TopPairs(
        Pairs(top.rows, top.columns, top.values),
        Pairs(bottom.rows, bottom.columns, -bottom.values),
        entries_scored,
    )


def _offer(tile: Tile, end: PairList) -> None:
    """Offer a list those pairs of a tile that could enter it; the tile may change sign.

    Let v be an entry of P Q^T, of its negative for the bottom, x the sum that a tile's products made of it, and s the
    score stored of x, all in
    units of v. Then |x - v| <= error and |s - x| <= output |x|, where output < 1/2. What enters has threshold <= v
    <= high, so x lies between threshold - error and high + error, and s no further out than these can be rounded.
    """
    least = _rounded_down(end.threshold - tile.error, tile.output)
    most = _rounded_up(end.high + tile.error, tile.output)
    sign = end.sign
    if sign < 0 and tile.scores.dtype == torch.bfloat16:  # whose smallest take ten times as long to find
        tile.scores.neg_()
        sign = 1
    best = _largest(tile.scores, positive=least > 0) if sign > 0 else -tile.scores.amin(1)
    if tile.scale * float(best.max()) < least:
        return
    hopeful = (tile.scale * best.double() >= least).nonzero()[:, 0]
    stored = sign * tile.scale * tile.scores[hopeful].double()
    row, column = ((stored >= least) & (stored <= most)).nonzero().unbind(1)
    stored = stored[row, column]
    # v <= x + error, and x <= s + 2 output |s|, because |x| <= |s| / (1 - output) <= 2 |s|.
    bounds = stored + 2 * tile.output * stored.abs() + tile.error
    end.offer(tile.rows[hopeful[row]].cpu(), tile.columns[column].cpu(), bounds.cpu())


def _rounded_down(x: float, output: float) -> float:
    """The least that a number of at least x can be stored as: x - output |x|."""
    return x * (1 - output if x > 0 else 1 + output)


def _rounded_up(x: float, output: float) -> float:
    """The most that a number of at most x can be stored as: x + output |x|."""
    return x * (1 + output if x > 0 else 1 - output)


def _largest(scores: Num[Tensor, "row column"], positive: bool) -> Num[Tensor, " row"]:
    """Each row's largest score; if only positive ones are asked for, of other rows any that is not positive."""
    if not positive or not scores.is_floating_point():
        return scores.amax(1)
    # Among positive numbers, bits read as an integer have the same order, and integers are compared faster.
    bits = torch.int16 if scores.dtype == torch.bfloat16 else torch.int32
    return scores.view(bits).amax(1).view(scores.dtype)


def _offer_zeros(end: PairList, rows: Int[Tensor, " row"], columns: Int[Tensor, " column"]) -> None:
    """Offer pairs known to be 0, in order, until a list has been offered as many as it can hold."""
    n_pairs, n_offered = len(rows) * len(columns), 0
    rows, columns = rows.cpu().sort().values, columns.cpu().sort().values
    for start in range(0, n_pairs, CHUNK):
        if n_offered >= end.k or not end.may_hold(0.0):
            return
        pair = torch.arange(start, min(start + CHUNK, n_pairs))
        row, column = rows[pair // len(columns)], columns[pair % len(columns)]
        if end.allowed is not None:
            passing = end.allowed(row, column)
            row, column = row[passing], column[passing]
        n_offered += len(row)
        end.offer(row, column, torch.zeros(len(row), dtype=torch.float64))


def _considered(mask: Tensor | None, factor: Tall, what: str) -> Int[Tensor, " id"]:
    """Ids of the rows to consider."""
    n, device = len(factor), factor.matrix.device
    if mask is None:
        return torch.arange(n, device=device)
    if mask.shape != (n,) or mask.dtype != torch.bool:
        raise ValueError(f"top_pairs: the {what} mask is {mask.dtype} {list(mask.shape)}; give {n} booleans")
    if not mask.any():
        raise ValueError(f"top_pairs: the filters leave none of the {n} {what} tokens; use fewer filters")
    return mask.nonzero()[:, 0].to(device)


def _refuse_bad_factors(P: Tall, Q: Tall, k: int) -> None:
    if k < 1:
        raise ValueError(f"top_pairs: k = {k}; ask for at least one pair")
    if P.rank != Q.rank:
        raise ValueError(f"top_pairs: factors {[len(P), P.rank]} and {[len(Q), Q.rank]} have no product P Q^T")
    # A length meets every number of a row.
    if not (P.longest * 0 + Q.longest * 0) == 0:
        raise ValueError("top_pairs: a factor holds NaN or infinity; check that training did not diverge")
    if torch.get_float32_matmul_precision() != "highest":
        raise ValueError("top_pairs: float32 products may be rounded; call set_float32_matmul_precision('highest')")
