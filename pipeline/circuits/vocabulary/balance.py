"""Two factors of a product, rewritten so that short rows certainly make small entries."""

from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from pipeline.circuits.vocabulary.tall import AT_ONCE, ROUNDOFF, Tall

ROUNDOFF_16, ROUNDOFF_32, ROUNDOFF_64 = (ROUNDOFF[dtype] for dtype in (torch.bfloat16, torch.float32, torch.float64))


@dataclass(frozen=True)
class OrderedRows:
    """One factor's rows, longest first, scaled by a power of two so that none is longer than about 1."""

    ids: Int[Tensor, " n"]  # row of the original factor
    rows: Float[Tensor, "n rank"]  # in the precision of scoring
    lengths: Float64[Tensor, " n"]  # never below the true length, on the CPU
    errors: Float64[Tensor, " n"]  # how far a row can be off before it was rounded to that precision, on the CPU
    scale: float
    zeros: Int[Tensor, " zero"]  # rows of the original factor that are exactly 0, and so not among the others


@dataclass(frozen=True)
class Balanced:
    """P Q^T as scale * left.rows @ right.rows^T, and how far off that can be.

    With a and b the lengths of two rows, an entry of P Q^T in float64 is at most `scale * a * b + slack` in
    size. With e and f their errors, it differs from `scale` times the product of the rounded rows, added up
    in float32 in any order, by at most `scale * (relative * a * b + e * b + a * f) + slack`. That sum is itself
    rounded to the precision of scoring, up or down, which changes it by at most `output` times its size.
    """

    left: OrderedRows
    right: OrderedRows
    scale: float
    relative: float
    slack: float
    output: float


def fast_precision(device: torch.device) -> torch.dtype:
    """Return bfloat16 where the processor multiplies it faster than float32, float32 elsewhere."""
    features = torch.cpu.get_capabilities()
    has_bfloat16 = features.get("amx_bf16") or features.get("avx512_bf16")
    on_cpu = device.type == "cpu" and torch.backends.mkldnn.is_available()
    return torch.bfloat16 if on_cpu and has_bfloat16 else torch.float32


def balance(
    P: Tall,
    Q: Tall,
    row_ids: Int[Tensor, " row"],
    column_ids: Int[Tensor, " column"],
    precision: torch.dtype,
    most: int | None = None,
) -> Balanced:
    """Change the basis of both factors so that each has the singular values of P Q^T as its squared ones.

    Row lengths are then small wherever the product is, even if P is long just where Q is short, and
    Cauchy-Schwarz on them is tight. The bounds hold for any basis: they follow from measuring how far the
    two changes are from cancelling, and from the rounding error of inner products.

    Args:
        P: one factor.
        Q: the other, of the same rank.
        row_ids: the rows of P to keep.
        column_ids: the rows of Q to keep.
        precision: of the rows that are multiplied, float32 or bfloat16.
        most: leave out rows before which there are already this many equal ones, as far as is seen; none if None.

    Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 3.1.
    """
    to_left, to_right = _balancing_bases(P.sampled_gram, Q.sampled_gram)
    left = _ordered_rows(P, to_left, row_ids, precision, most)
    right = _ordered_rows(Q, to_right, column_ids, precision, most)
    scale = left.scale * right.scale
    off_identity = float((to_left @ to_right.T - torch.eye(P.rank, dtype=to_left.dtype, device=to_left.device)).norm())
    growth = float(to_left.norm() * to_right.norm())
    rounding = off_identity + 8 * (P.rank + 4) * ROUNDOFF_64 * (1 + growth)
    # Lengths before the change are at most `growth` times those after it (a rounded basis: a little more).
    longest = 2 * growth * scale * float(left.lengths[:1].sum() * right.lengths[:1].sum())
    # What float64 itself loses in forming rows of P and Q.
    forming = 2 * (len(P.matrix) + len(Q.matrix) + 4) * ROUNDOFF_64 * P.longest * Q.longest
    # What is too small for the exponents of float32 and bfloat16, even where it is flushed to zero.
    underflow = scale * (P.rank + len(P.matrix) + len(Q.matrix)) * 2.0**-110
    relative, output = 3 * (P.rank + 4) * ROUNDOFF_32, 0.0
    if precision == torch.bfloat16:
        # Either operand is off by one roundoff at most; products of two bfloat16 are exact in float32.
        relative, output = relative + 2 * ROUNDOFF_16 + 2 * ROUNDOFF_16**2, 2 * ROUNDOFF_16
    return Balanced(left, right, scale, relative, longest * rounding + forming + underflow, output)


def _balancing_bases(
    gram_left: Float64[Tensor, "rank rank"], gram_right: Float64[Tensor, "rank rank"]
) -> tuple[Float64[Tensor, "rank rank"], Float64[Tensor, "rank rank"]]:
    """Matrices A and B with A B^T = 1 that make A^T gram_left A and B^T gram_right B nearly one diagonal."""
    (left, undone_left), (right, undone_right) = _root(gram_left), _root(gram_right)
    U, S, Vh = torch.linalg.svd(left.T @ right)
    root = S.sqrt()
    return undone_left.T @ (U * root), undone_right.T @ (Vh.T * root)


def _root(gram: Float64[Tensor, "rank rank"]) -> tuple[Float64[Tensor, "rank rank"], Float64[Tensor, "rank rank"]]:
    """Return L with L L^T nearly a multiple of a gram, and its inverse; a gram that is rounding may have any sign."""
    sizes, directions = torch.linalg.eigh(gram)
    sizes = sizes.clamp_min(0)
    # A little of the identity keeps directions that one side never uses from being blown up.
    roots = (sizes / sizes.sum().clamp_min(torch.finfo(gram.dtype).tiny) + 1e-6).sqrt()
    return directions * roots, (directions / roots).T


def _ordered_rows(
    P: Tall, basis: Float64[Tensor, "rank rank"], ids: Int[Tensor, " id"], precision: torch.dtype, most: int | None
) -> OrderedRows:
    """Bring the rows of one factor into a basis, and put them in order."""
    longest = P.rows.lengths.max() * (P.matrix @ basis).norm()  # no row can be longer
    scale = 2.0 ** int(torch.frexp(longest).exponent)
    rows, lengths, errors = _in_basis(P, basis / scale, precision)
    order = _longest_first(lengths, ids)
    if most is not None:
        order = order[_equals_before(lengths[order], P.rows.values, order) < most]
    is_zero = _are_zero(P, lengths, order)
    order, zeros = order[~is_zero], order[is_zero]
    return OrderedRows(order, rows.index_select(0, order), lengths[order].cpu(), errors[order].cpu(), scale, zeros)


def _in_basis(
    P: Tall, basis: Float64[Tensor, "rank rank"], precision: torch.dtype
) -> tuple[Float[Tensor, "row rank"], Float64[Tensor, " row"], Float64[Tensor, " row"]]:
    """Return rows in a basis, rounded to a precision; their lengths, never too short; and their errors before that."""
    reading, error = P.reader(basis)
    original, errors = P.rows.values, error * P.rows.lengths
    lengths, rounded = torch.empty_like(errors), original.new_empty((len(P), P.rank), dtype=precision)
    for part in range(0, len(P), AT_ONCE):  # what fits a cache is not written to memory before it is rounded
        rows = original[part : part + AT_ONCE] @ reading
        lengths[part : part + AT_ONCE] = torch.linalg.vector_norm(rows.double(), dim=1)
        rounded[part : part + AT_ONCE] = rows
    # Widened, so that neither their own rounding nor that of the order makes a row look shorter than it is.
    return rounded, lengths * (1 + 1e-6) + errors, errors


def _longest_first(lengths: Float64[Tensor, " row"], ids: Int[Tensor, " id"]) -> Int[Tensor, " id"]:
    """Put ids in order of their rows' lengths, in float32, equals as they come."""
    # Bits of positive floats, read as integers, have the same order, and integers are sorted faster.
    return ids[torch.argsort(-lengths[ids].float().view(torch.int32), stable=True)]


def _are_zero(P: Tall, lengths: Float64[Tensor, " row"], order: Int[Tensor, " id"]) -> Bool[Tensor, " id"]:
    """Whether each of some rows of P is exactly 0."""
    if not P.matrix.any():
        return torch.ones_like(order, dtype=torch.bool)
    short = lengths[order] == 0
    are_zero = short.clone()
    are_zero[short] = reduce(P.rows.values[order[short]] == 0, "row width -> row", "all")
    return are_zero


def _equals_before(
    lengths: Float64[Tensor, " id"], original: Float[Tensor, "row width"], order: Int[Tensor, " id"]
) -> Int[Tensor, " id"]:
    """How many rows just before each one are equal to it, if rows come in this order."""
    place = torch.arange(len(order), device=order.device)
    maybe = (lengths[1:] == lengths[:-1]).nonzero()[:, 0] + 1
    first = place.clone()
    equal = reduce(original[order[maybe]] == original[order[maybe - 1]], "row width -> row", "all")
    first[maybe[equal]] = 0
    return place - first.cummax(0).values
