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
    missing = reduce(values.isnan(), "... batch position -> batch position", "all")
    counted = (classes & ~missing).double()
    filled = values.double().masked_fill(missing, 0)
    sums = einsum(filled, counted, "... batch position, token_class batch position -> ... token_class batch")
    tokens = counted.sum(-1)
    value = sums.sum(-1) / tokens.sum(-1)
    replicates = (sums @ counts.mT) / (tokens @ counts.mT)
    lo, hi = interval(value, rearrange(replicates, "... resample -> resample ..."), confidence)
    if counts.shape[1] == 1:  # one sentence does not tell how sentences differ
        lo = hi = torch.full_like(value, torch.nan)
    return ClassMeans(value, lo, hi, tokens.sum(-1).long())
