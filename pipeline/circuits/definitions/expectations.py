"""All that is known of a network before it is measured, under the names the tables give it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.circuits.closed_forms import of_effects
from pipeline.circuits.closed_forms.case import Case
from pipeline.circuits.closed_forms.expected import DEPENDS, Expected
from pipeline.circuits.closed_forms.mechanism import Followed, follow
from pipeline.circuits.closed_forms.of_circuits import ClosedForm
from pipeline.circuits.closed_forms.wiring import Construction
from pipeline.circuits.definitions.definition import Definition, Name, level
from pipeline.circuits.definitions.registry import DEFINITIONS, HEADS, PAIRS
from pipeline.circuits.transformer.weights import Weights

Set = tuple[str, int | None]  # eval_set, period
ABLATED = ("repeated_text", "repeated_tokens")  # sets on which parts are taken away; of several periods, the shortest


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


def of_wired(construction: Construction, sets: Mapping[Set, Sequence[Sequence[int]]], first: int) -> Iterator[Known]:
    """Yield what is known of a constructed network: its heads 0, their pair, and its loss.

    Args:
        construction: the network.
        sets: the sentences, as token ids, by eval_set and period; `text` among them.
        first: the first position that is not [BEGIN]: 0 or 1.
    """
    followed = {which: [follow(construction, tokens) for tokens in sentences] for which, sentences in sets.items()}
    text, layers = followed["text", None], range(len(construction.wiring))
    heads = [entry for entry in HEADS if first or not entry.needs_begin]
    for layer in layers:
        for entry, closed_form in _with_closed_form(heads):
            for (eval_set, period), sentences in _sets(entry, followed).items():
                case = Case(construction, layer, sentences, first, period, text)
                yield Known(*entry.name, eval_set, period, closed_form(case), layer)
    if len(layers) == 2:
        case = Case(construction, 1, text, first, None, text)
        for entry, closed_form in _with_closed_form(PAIRS):
            for eval_set, period in _sets(entry, followed):
                yield Known(*entry.name, eval_set, period, closed_form(case), layer=1, pair=True)
    yield from _effects(construction, followed)


def of_random(name: Name, weights: Weights) -> Expected:
    """Return what independent random weights score on average, where that has a closed form."""
    entry = DEFINITIONS.get(name)
    return level(entry.chance, weights) if entry is not None and entry.random_mean else DEPENDS


def _with_closed_form(definitions: Iterable[Definition]) -> Iterator[tuple[Definition, ClosedForm]]:
    return ((entry, entry.closed_form) for entry in definitions if entry.closed_form is not None)


def _sets(entry: Definition, followed: dict[Set, list[Followed]]) -> dict[Set, list[Followed]]:
    """Return the sets of sentences that a score is measured on."""
    if entry.eval_set is not None:
        return {(entry.eval_set, None): []}
    return {which: sentences for which, sentences in followed.items() if which[1] is not None or not entry.periodic}


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
