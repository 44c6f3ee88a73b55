"""How many of the scores called significant are chance: q values over many scores."""

import numpy as np
from jaxtyping import Float64
from scipy import stats


def false_discovery(p: Float64[np.ndarray, " score"]) -> Float64[np.ndarray, " score"]:
    """Return the least false discovery rate at which each p value would be called significant: its q.

    Of all with q < 0.05, at most 5 % are expected to be chance, also if p values depend on each other positively.
    Undefined ones (NaN) stay so, and are left out of the count.

    Source: Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001, for dependence.
    """
    q = p.copy()
    known = ~np.isnan(q)
    if known.any():
        q[known] = stats.false_discovery_control(q[known])
    return q
