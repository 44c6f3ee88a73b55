"""How a cost grows with sizes, and what that foretells of others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Num
from numpy import ndarray
from scipy.special import stdtrit

Ends = tuple[float, float, float]  # value, lower and upper end of its interval


@dataclass(frozen=True)
class PowerLaw:
    """cost = c size_1^p_1 size_2^p_2 ..., by least squares of logarithms."""

    axes: tuple[str, ...]
    logs: Float64[ndarray, " coefficient"]  # log c, then the exponents
    covariance: Float64[ndarray, "coefficient coefficient"]  # of these
    variance: float  # of a logarithm of a cost, about the law
    freedom: int  # degrees, of what variance was estimated from

    def exponent(self, axis: str, confidence: float) -> Ends:
        """Return the exponent of one size, and Student's interval."""
        place = 1 + self.axes.index(axis)
        return _ends(float(self.logs[place]), float(self.covariance[place, place]), self.freedom, confidence)

    def foretold(self, sizes: Mapping[str, int | float], confidence: float) -> Ends:
        """Return what a measurement at other sizes should be, and its prediction interval, if the law holds there."""
        x = np.array([1.0, *(np.log(sizes[axis]) for axis in self.axes)])
        variance = float(x @ self.covariance @ x) + self.variance
        value, low, high = np.exp(_ends(float(x @ self.logs), variance, self.freedom, confidence))
        return float(value), float(low), float(high)


def power_law(
    axes: Sequence[str], sizes: Num[ndarray, "measurement axis"], costs: Num[ndarray, " measurement"]
) -> PowerLaw:
    """Fit a law to costs above 0.

    Raises:
        ValueError: too few measurements, or sizes that do not vary apart from each other.
    """
    x = np.hstack([np.ones((len(costs), 1)), np.log(sizes)])
    freedom = len(x) - x.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(x) < x.shape[1]:
        raise ValueError(f"{len(x)} costs do not tell how they grow with {', '.join(axes)}; measure more sizes")
    y = np.log(costs)
    inverse = np.linalg.inv(x.T @ x)
    fitted = inverse @ x.T @ y
    variance = float(((y - x @ fitted) ** 2).sum() / freedom)
    return PowerLaw(tuple(axes), fitted, variance * inverse, variance, freedom)


def _ends(value: float, variance: float, freedom: int, confidence: float) -> Ends:
    off = float(stdtrit(freedom, (1 + confidence) / 2) * np.sqrt(variance))
    return value, value - off, value + off
