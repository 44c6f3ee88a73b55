"""Where the variance of a score comes from."""

import torch
from jaxtyping import Float64
from torch import Tensor


def variance_components(
    gram: Float64[Tensor, "term batch batch"],
    sums: Float64[Tensor, "term batch"],
    entries: int,
    counts: Float64[Tensor, "sample batch"],
) -> dict[str, Float64[Tensor, "sample term"]]:
    """Split the variance of a term's scores by what it comes from.

    Call S[b, i] the score at entry i = (query, key) of sentence b, m[b] its mean over entries, M[i] its mean
    over sentences, m the mean of all. The sums of squares of a two-way table then add up exactly, over all
    b and i: S - m = (m[b] - m) + (M[i] - m) + (S[b, i] - m[b] - M[i] + m). Scores are as they are, not
    row-centred: a centred row has mean 0 in every sentence, and nothing would be left between sentences.

    Each component is the plain mean square in this sample, not an estimate for infinitely many sentences:
    `between_positions` still holds about 1/batch of `residual`, since M averages only `batch` sentences.

    Args:
        gram: inner products over entries of the sentences' scores.
        sums: the sentences' sums over entries.
        entries: number of entries of a sentence.
        counts: how often each sentence counts; each row sums to batch.

    Returns:
        By component, score squared. `all`, and its three parts: `between_sentences`, the variance of m[b];
        `between_positions`, that of M[i]; `residual`, what depends on both at once.
    """
    share = counts / counts.shape[-1]
    means = sums / entries
    squares = torch.linalg.diagonal(gram)
    grand = share @ means.mT
    overall = share @ squares.mT / entries - grand**2
    sentences = share @ (means**2).mT - grand**2
    positions = torch.einsum("sa,tab,sb->st", share, gram, share) / entries - grand**2
    return {
        "all": overall,
        "between_sentences": sentences,
        "between_positions": positions,
        "residual": overall - sentences - positions,
    }
