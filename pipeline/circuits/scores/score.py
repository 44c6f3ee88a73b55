"""One score of many heads: its value, its levels, its parts by sentence, and how sure these make it."""

import math
from dataclasses import dataclass

from einops import einsum
from torch import Tensor

from pipeline.circuits.resampling import interval


@dataclass(frozen=True)
class Score:
    """A score of heads, or of pairs of heads: axes [...], such as [layer, head]. NaN is undefined."""

    value: Tensor  # [...], float64
    chance: float = math.nan  # expected under uniform attention, or for independent random weights
    ideal: float = math.nan  # of a head that plays the role perfectly
    sentences: Tensor | None = None  # [sentence, ...], of each sentence alone; None if no sentence is involved
    weight: Tensor | None = None  # [sentence, ...], how much each counts: value is their weighted mean

    def interval(self, counts: Tensor | None, confidence: float) -> tuple[Tensor, Tensor]:
        """Return the ends [...] of the bootstrap interval over sentences; NaN without sentences.

        Args:
            counts: [resample, sentence], how often each sentence comes in each resample; None without sentences.
            confidence: of the interval.
        """
        if self.sentences is None:
            nothing = self.value * math.nan
            return nothing, nothing
        return interval(self.value, _mean(self.sentences, self.weight, counts), confidence)


Scores = dict[tuple[str, str], Score]


def pooled(sentences: Tensor, weight: Tensor, chance: float = math.nan, ideal: float = math.nan) -> Score:
    """Return the score of a set of sentences: the weighted mean of theirs.

    Args:
        sentences: [sentence, ...], each one's score; NaN where it has none.
        weight: the same axes, or some of length 1; 0 where a sentence has no score.
        chance: as in Score.
        ideal: as in Score.
    """
    weight = weight.expand_as(sentences)
    once = sentences.new_ones(1, len(sentences))
    return Score(_mean(sentences, weight, once)[0], chance, ideal, sentences, weight)


def _mean(sentences: Tensor, weight: Tensor, counts: Tensor) -> Tensor:
    """Return the weighted mean [sample, ...] of sentences that come `counts` times."""
    axes = "sample sentence, sentence ... -> sample ..."
    return einsum(counts, (sentences * weight).nan_to_num(), axes) / einsum(counts, weight, axes)
