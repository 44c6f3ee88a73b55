"""One score of many heads: its value, its levels, its parts by sentence, and how sure these make it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from pipeline.circuits.resampling import interval

ByHead = Float[Tensor, "*heads"]
BySentence = Float[Tensor, "sentence *heads"]
Counts = Float[Tensor, "resample sentence"]  # how often each sentence comes in each resample


@dataclass(frozen=True)
class Score:
    """A score of heads, or of pairs of heads: axes such as [layer, head]; of the model, none. NaN is undefined."""

    value: ByHead
    chance: float = math.nan  # expected under uniform attention, or for independent random weights
    ideal: float = math.nan  # of a head that plays the role perfectly
    sentences: BySentence | None = None  # of each sentence alone; None if none is involved
    weight: BySentence | None = None  # how much each counts: value is their weighted mean
    by_chance: tuple[ByHead, ByHead] | None = None  # mean and deviation, in closed form; None where draws tell

    def interval(self, counts: Counts | None, confidence: float) -> tuple[ByHead, ByHead]:
        """Return the ends of the bootstrap interval over sentences; NaN without sentences.

        Args:
            counts: of resamples; None without sentences.
            confidence: of the interval.

        Raises:
            ValueError: there are sentences, but no counts.
        """
        if self.sentences is None or self.weight is None:
            nothing = self.value * math.nan
            return nothing, nothing
        if counts is None:
            raise ValueError(f"interval of a score of {len(self.sentences)} sentences: give counts of resamples")
        return interval(self.value, self.of_draws(counts), confidence)

    def of_draws(self, counts: Counts) -> Float[Tensor, "resample ..."]:
        """Return the score of each draw of sentences, which come `counts` times; `value` where none is involved."""
        if self.sentences is None or self.weight is None:
            return self.value.expand(len(counts), *self.value.shape)
        return _mean(self.sentences, self.weight, counts)


Scores = dict[tuple[str, str], Score]


def pooled(
    sentences: BySentence,
    weight: Float[Tensor, "..."],
    chance: float = math.nan,
    ideal: float = math.nan,
) -> Score:
    """Return the score of a set of sentences: the weighted mean of theirs.

    Args:
        sentences: each one's score; NaN where it has none.
        weight: of the same axes, or some of length 1; 0 where a sentence has no score.
        chance: as in Score.
        ideal: as in Score.
    """
    weight = weight.expand_as(sentences)
    once = sentences.new_ones(1, len(sentences))
    return Score(_mean(sentences, weight, once)[0], chance, ideal, sentences, weight)


def _mean(sentences: BySentence, weight: BySentence, counts: Counts) -> Float[Tensor, "resample ..."]:
    """Return the weighted mean of sentences that come `counts` times."""
    axes = "resample sentence, sentence ... -> resample ..."
    return einsum(counts, (sentences * weight).nan_to_num(), axes) / einsum(counts, weight, axes)


def stacked(parts: Sequence[Scores]) -> Scores:
    """Return scores of one source head each, [reader], as scores of all: [source, reader]."""
    scores = {}
    for name, first in parts[0].items():
        value = torch.stack([part[name].value for part in parts])
        by_sentence = {}
        if first.sentences is not None:
            for field in ("sentences", "weight"):
                by_sentence[field] = torch.stack([getattr(part[name], field) for part in parts], 1)
        scores[name] = Score(value, first.chance, first.ideal, **by_sentence)
    return scores
