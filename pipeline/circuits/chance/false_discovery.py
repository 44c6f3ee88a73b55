"""Which of many p values are more than chance: the false discovery rate."""

import numpy as np
from jaxtyping import Float


def false_discovery(p: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return q [...]: the least false discovery rate at which each of all p values would be called significant.

    Of all with q <= 0.05, at most 5 % are expected to be chance, also if p values depend on each other positively.
    NaN, a test that could not be made, stays NaN and does not count.

    Source: Benjamini and Hochberg 1995; Benjamini and Yekutieli 2001, for dependence.
    """
    q = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    order = np.argsort(p[tested])
    scaled = p[tested][order] * (len(order) / np.arange(1, len(order) + 1))
    ranked = np.empty_like(scaled)
    ranked[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    q[tested] = ranked
    return q


def share_by_chance(tests: int, level: float) -> float:
    """Return the expected share of tests with q < level if all is chance: independent p, uniform in 0 ... 1.

    level / tests * sum over j < tests of (j + 1) (tests - 1)! / (tests - 1 - j)! (level / tests)^j: a little above
    level / tests, and at most level / (1 - level)^2 / tests. (Any at all are significant with the probability `level`.)

    Args:
        tests: how many, 1 or more.
        level: in (0, 1).

    Source: Finner and Roters 2002, "Multiple hypotheses testing and expected number of type I errors".
    """
    total, ways = 0.0, 1.0
    for j in range(tests):
        total += (j + 1) * ways
        ways *= (tests - 1 - j) * level / tests
    return level / tests * total
