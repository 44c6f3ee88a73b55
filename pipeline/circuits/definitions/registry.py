"""All definitions there are, by what they are of."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from pipeline.circuits.definitions.definition import Definition, Name
from pipeline.circuits.definitions.heads import ATTENTION, BEHIND, PASSES, WEIGHTS, WORDS
from pipeline.circuits.definitions.of_models import LOSSES, PREDICTIONS
from pipeline.circuits.definitions.pairs import PAIRS

M = TypeVar("M")
HEADS: tuple[Definition, ...] = (*ATTENTION, *PASSES, *WEIGHTS, *WORDS, *BEHIND)
MODELS: tuple[Definition, ...] = (*LOSSES, *PREDICTIONS)
DEFINITIONS: dict[Name, Definition] = {entry.name: entry for entry in (*HEADS, *PAIRS, *MODELS)}


def measured_as(measure: type[M], among: Iterable[Definition]) -> Iterator[tuple[Definition, M]]:
    """Yield the definitions of one kind, each with how it is measured."""
    for entry in among:
        if isinstance(entry.measure, measure):
            yield entry, entry.measure
