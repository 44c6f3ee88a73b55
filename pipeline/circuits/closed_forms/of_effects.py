"""What the loss must be, of the network as it is and of the network without some of its parts."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from pipeline.circuits.closed_forms.mechanism import Followed, Seen, follow, moved
from pipeline.circuits.closed_forms.wiring import Construction

Name = tuple[str, str]  # metric, definition


def loss(sentences: Sequence[Followed]) -> float:
    """Return the mean loss, nats, over all tokens that are predicted."""
    return float(np.mean([sentence.losses() for sentence in sentences]))


def contribution(sentences: Sequence[tuple[Seen, Sequence[int]]]) -> float:
    """Return the mean, over tokens that are predicted, of some logits of the token that comes, less their mean."""
    rows = (zip(logits, tokens[1:], strict=False) for logits, tokens in sentences)
    return float(np.mean([row[token] - row.mean() for row, token in chain.from_iterable(rows)]))


def by_order(construction: Construction, sentences: Sequence[Followed]) -> dict[Name, float]:
    """Return the loss through paths of at most 0, 1, ... heads, patterns held."""
    losses = {}
    for order in range(len(construction.wiring) + 1):
        cut = [replace(sentence, logits=_logits(construction, sentence, order)) for sentence in sentences]
        losses["loss", f"order_{order}"] = loss(cut)
    return losses


def without_head(construction: Construction, sentences: Sequence[Followed], layer: int) -> dict[Name, float]:
    """Return the change of the loss when sentence layer's head writes nothing, later patterns free or held."""
    free = [follow(construction, sentence.tokens, silent=[layer]) for sentence in sentences]
    held = [follow(construction, sentence.tokens, silent=[layer], patterns=sentence.patterns) for sentence in sentences]
    whole = loss(sentences)
    return {("ablation", "zero"): loss(free) - whole, ("ablation", "pattern_preserving"): loss(held) - whole}


def without_edge(construction: Construction, sentences: Sequence[Followed]) -> dict[Name, float]:
    """Return the change of the loss when layer 1's queries, keys or values do not read what layer 0 wrote."""
    whole = loss(sentences)
    cut = {side: [follow(construction, sentence.tokens, cut=side) for sentence in sentences] for side in "QKV"}
    return {("edge", side): loss(changed) - whole for side, changed in cut.items()}


def _logits(construction: Construction, sentence: Followed, order: int) -> Seen:
    """Return the logits that paths of at most `order` heads add up to."""
    embedded = np.eye(construction.d_vocab)[list(sentence.tokens)]
    if order == 0:
        return embedded
    if order == len(construction.wiring):
        return sentence.logits
    heads = zip(sentence.patterns, construction.wiring, strict=True)
    alone = [moved(construction, wiring, pattern @ embedded) for pattern, wiring in heads if _direct(wiring.moves)]
    return embedded + sum(alone, np.zeros_like(embedded))


def _direct(moves: tuple[str, str]) -> bool:
    """Whether a head takes tokens from the embedding to the unembedding by itself."""
    return moves == ("token", "token")
