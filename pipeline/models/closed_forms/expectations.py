"""All that is known of a network before it is measured, under the names the tables give it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.models.closed_forms import of_circuits, of_effects, of_pairs, of_patterns
from pipeline.models.closed_forms.mechanism import Followed, follow
from pipeline.models.closed_forms.of_circuits import ROUNDING, UNDEFINED, Expected
from pipeline.models.constructed import Construction

Set = tuple[str, int | None]  # eval_set, period
ON_TEXT = (("copying", "top1_unigram"), ("induction", "prefix_trace"), ("induction", "prefix_ratio"))
ABLATED = ("repeated_text", "repeated_tokens")  # sets on which parts are taken away; of several periods, the shortest
PATHS = (("virtual", "norm_share"), ("virtual", "loss_removed"))
DEPENDS = "depends on the draw of the weights"


@dataclass(frozen=True)
class Known:
    """One score that is known: a value, or a sentence that says why there is none."""

    metric: str
    definition: str
    eval_set: str
    period: int | None
    expected: Expected
    layer: int | None = None  # of the head, or of a pair's reader; None for the whole model
    pair: bool = False


def of_wired(construction: Construction, sets: dict[Set, Sequence[Sequence[int]]], first: int) -> Iterator[Known]:
    """Yield what is known of a constructed network: its heads 0, their pair, and its loss.

    Args:
        construction: the network.
        sets: the sentences, as token ids, by eval_set and period; `text` among them.
        first: the first position that is not [BEGIN]: 0 or 1.
    """
    followed = {which: [follow(construction, tokens) for tokens in sentences] for which, sentences in sets.items()}
    text = followed["text", None]
    layers = range(len(construction.wiring))
    previous = [of_patterns.scores(text, layer, first, None)["previous_token", "mean"] for layer in layers]
    for layer in layers:
        for (eval_set, period), sentences in followed.items():
            found = of_patterns.scores(sentences, layer, first, period)
            if period is not None:
                found["copying", "olsson"] = _olsson(construction, sentences, layer, first, period)
            for name, expected in found.items():
                yield Known(*name, eval_set, period, expected, layer)
        for name, expected in of_circuits.scores(construction, layer, previous).items():
            yield Known(*name, "text" if name in ON_TEXT else "weights", None, expected, layer)
    if len(layers) == 2:
        for name, expected in of_pairs.scores(construction, text).items():
            yield Known(*name, "text" if name in PATHS else "weights", None, expected, layer=1, pair=True)
    yield from _effects(construction, followed)


def _effects(construction: Construction, followed: dict[Set, list[Followed]]) -> Iterator[Known]:
    for (eval_set, period), sentences in followed.items():
        yield Known("loss", "mean", eval_set, period, of_effects.loss(sentences))
    for eval_set in ABLATED:
        period = min((period for name, period in followed if name == eval_set), key=lambda period: period or 0)
        sentences = followed[eval_set, period]
        for name, expected in of_effects.by_order(construction, sentences).items():
            yield Known(*name, eval_set, period, expected)
        for layer in range(len(construction.wiring)):
            for name, expected in of_effects.without_head(construction, sentences, layer).items():
                yield Known(*name, eval_set, period, expected, layer)
        if len(construction.wiring) == 2:
            for name, expected in of_effects.without_edge(construction, sentences).items():
                yield Known(*name, eval_set, period, expected, layer=1, pair=True)


def _olsson(construction: Construction, sentences: Sequence[Followed], layer: int, first: int, period: int) -> Expected:
    value = of_patterns.olsson(sentences, layer, first, period)
    if construction.wiring[layer].moves[1] != "token":
        return UNDEFINED if construction.basis == "one_hot" else ROUNDING
    return UNDEFINED if math.isnan(value) else value


def of_random(definition: str, d_vocab: int, d_model: int) -> Expected:
    """Return what independent random weights score by this definition on average, where that has a closed form."""
    if definition == "frobenius":
        return 1 / math.sqrt(d_model)
    if definition in ("eigenvalue", "eigenvalue_stream", "diagonal_z", "above_chance"):
        return 0.0
    if definition in ("top1", "top5", "top1_keys", "top1_queries"):
        return (5 if definition == "top5" else 1) / d_vocab
    return DEPENDS
