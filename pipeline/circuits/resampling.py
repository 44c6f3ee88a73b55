"""How sure a sample of sentences makes us of a statistic: the bootstrap."""

import torch
from torch import Tensor


def resampled_counts(batch: int, resamples: int, generator: torch.Generator) -> Tensor:
    """Draw `batch` sentences with replacement, `resamples` times: [resample, batch], how often each came."""
    drawn = torch.randint(batch, (resamples, batch), generator=generator)
    counts = torch.zeros(resamples, batch, dtype=torch.float64)
    return counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float64))


def interval(value: Tensor, replicates: Tensor, confidence: float = 0.95) -> tuple[Tensor, Tensor]:
    """Return the bootstrap interval of a statistic, NaN where a replicate has no value.

    The middle of the replicates, moved so that their mean is the value: some statistics (a component
    of variance, a divergence) grow when sentences repeat, and would all lie beside the value otherwise.
    Equal to the value where sentences do not matter.

    Args:
        value: [...], the statistic of the sample.
        replicates: [resample, ...], the same of samples drawn from it.
        confidence: of the interval.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapters 10 and 13.
    """
    shifted = replicates + (value - replicates.mean(0))
    low, high = torch.quantile(
        shifted, torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=shifted.dtype), dim=0
    )
    return low, high
