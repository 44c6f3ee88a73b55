"""Means over classes of tokens, and how sure a sample of sentences makes us of them."""

from typing import NamedTuple

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from pipeline.circuits.resampling import interval


class ClassMeans(NamedTuple):
    """Means with their intervals."""

    value: Float64[Tensor, "... token_class"]  # NaN for a class without tokens
    lo: Float64[Tensor, "... token_class"]  # lower end of the bootstrap interval over sentences; NaN for one sentence
    hi: Float64[Tensor, "... token_class"]  # its upper end
    n: Int[Tensor, " token_class"]  # tokens averaged over


def class_means(
    values: Float[Tensor, "... batch position"],
    classes: Bool[Tensor, "token_class batch position"],
    counts: Float64[Tensor, "resample batch"],
    confidence: float,
) -> ClassMeans:
    """Average over classes of tokens.

    Args:
        values: NaN where a token has none, as the first of a sentence has no loss, in every row alike. A row that
            is NaN elsewhere has no mean.
        classes: which tokens each class holds; they may overlap.
        counts: how often each sentence comes in each resample; see resampled_counts. Where a resample has no token
            of a class, the class has no interval.
        confidence: of the intervals.
    """
    sums, tokens = class_sums(values, classes)
    means = resampled_means(sums, tokens, counts)
    value, replicates = means[..., 0], means[..., 1:]
    lo, hi = interval(value, rearrange(replicates, "... resample -> resample ..."), confidence)
    if counts.shape[1] == 1:  # one sentence does not tell how sentences differ
        lo = hi = torch.full_like(value, torch.nan)
    return ClassMeans(value, lo, hi, tokens.sum(-1).long())


def class_sums(
    values: Float[Tensor, "... batch position"], classes: Bool[Tensor, "token_class batch position"]
) -> tuple[Float64[Tensor, "... token_class batch"], Float64[Tensor, "token_class batch"]]:
    """Return what the values of each class sum to in each sentence, and of how many tokens; as in `class_means`."""
    missing = reduce(values.isnan(), "... batch position -> batch position", "all")
    counted = (classes & ~missing).double()
    filled = values.double().masked_fill(missing, 0)
    sums = einsum(filled, counted, "... batch position, token_class batch position -> ... token_class batch")
    return sums, counted.sum(-1)


def resampled_means(
    sums: Float64[Tensor, "... token_class batch"],
    tokens: Float64[Tensor, "token_class batch"],
    counts: Float64[Tensor, "resample batch"],
) -> Float64[Tensor, "... token_class mean"]:
    """Return the mean of each class in the sample, and behind it in each resample; arguments as in `class_sums`."""
    counts = torch.cat([torch.ones_like(counts[:1]), counts])
    return (sums @ counts.mT) / (tokens @ counts.mT)
