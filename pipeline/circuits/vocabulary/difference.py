"""The difference of two circuits from vocabulary to vocabulary, as factors, never holding either."""

import torch

from pipeline.circuits.vocabulary.full_circuits import TallFactors
from pipeline.circuits.vocabulary.tall import ROUNDOFF, Tall


def difference(one: TallFactors, other: TallFactors) -> TallFactors | None:
    """Return the other circuit less the one, over the same items: P Q^T of at most both ranks together.

    P and Q have the difference's singular values as their squared ones, however much the circuits have in common, so
    that the exact search prunes as it does in a head's own circuit.

    Args:
        one: factors [row, rank], [column, rank].
        other: of another model; its rank may be another.

    Returns:
        None where the circuits are equal, as far as float64 tells.
    """
    rows = torch.cat([other[0].formed(), -one[0].formed()], 1)
    columns = torch.cat([other[1].formed(), one[1].formed()], 1)
    (left, left_small), (right, right_small) = torch.linalg.qr(rows), torch.linalg.qr(columns)
    U, sizes, Vh = torch.linalg.svd(left_small @ right_small.T, full_matrices=False)
    rounding = 10 * rows.shape[1] * ROUNDOFF[torch.float64] * left_small.norm() * right_small.norm()
    real = sizes > rounding
    if not real.any():
        return None
    roots = sizes[real].sqrt()
    return Tall.of(left @ (U[:, real] * roots)), Tall.of(right @ (Vh[real].T * roots))
