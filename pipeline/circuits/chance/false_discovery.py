"""Which of many p values are more than chance: the false discovery rate."""

import numpy as np
from jaxtyping import Float
from scipy import stats


def false_discovery(p: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return q [...]: the least false discovery rate at which each of all p values would be called significant.

    Of all with q <= 0.05, at most 5 % are expected to be chance, also if p values depend on each other positively.
    NaN, a test that could not be made, stays NaN and does not count.

    Source: Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001, for dependence.
    """
    q = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested], method="bh")
    return q
