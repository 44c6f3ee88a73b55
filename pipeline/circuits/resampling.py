"""How sure a sample of sentences makes us of a statistic: the bootstrap; and who may stand in for whom."""

import torch
from jaxtyping import Float64, Int
from torch import Generator, Tensor


def resampled_counts(batch: int, resamples: int, generator: Generator) -> Float64[Tensor, "{resamples} {batch}"]:
    """Draw `batch` sentences with replacement, `resamples` times: how often each came; of none, no draws."""
    drawn = torch.randint(max(batch, 1), (resamples, batch), generator=generator)
    counts = torch.zeros(resamples, batch, dtype=torch.float64)
    return counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))


def interval(
    value: Float64[Tensor, "*axes"], replicates: Float64[Tensor, " resample *axes"], confidence: float
) -> tuple[Float64[Tensor, "*axes"], Float64[Tensor, "*axes"]]:
    """Return the bootstrap interval of a statistic, NaN where a replicate has no value.

    The middle of the replicates, moved so that their mean is the value: some statistics (a component of
    variance, a divergence) grow when sentences repeat, and would all lie beside the value otherwise.
    Equal to the value where sentences do not matter.

    Args:
        value: the statistic of the sample.
        replicates: the same of samples drawn from it.
        confidence: share of the replicates that lie in the interval, in (0, 1).

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 10 and 13.
    """
    shifted = replicates + (value - replicates.mean(0))
    beyond = round((1 - confidence) / 2, 12)  # 0.025 to the last bit, for 0.95
    low, high = torch.quantile(shifted, torch.tensor([beyond, 1 - beyond], dtype=shifted.dtype), dim=0)
    return low, high


def derangement(n: int, generator: Generator) -> Int[Tensor, " {n}"]:
    """Draw another one for each of n: a random permutation in one cycle, so that none keeps its own.

    Of one alone, itself.
    """
    order = torch.randperm(n, generator=generator)
    return torch.empty_like(order).index_copy(0, order, order.roll(1))
