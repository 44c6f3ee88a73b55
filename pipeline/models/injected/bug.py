"""What a bug is: one way in which our reading of a model, or what we compute with it, would be wrong.

Bugs are put in on our side alone. What the model itself computes comes from the library's code, or the toy network's
own, on the checkpoint as it was saved.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline.circuits.transformer.weights import Weights
from pipeline.models.families import Read, family_of
from pipeline.models.families.family import Family
from pipeline.models.families.lazy_weights import LazyWeights

T = TypeVar("T")


def unchanged(value: T) -> T:
    """Return what is given."""
    return value


@dataclass(frozen=True)
class Bug:
    """One bug, by where it is put in."""

    name: str
    gate: str | None  # the first of `verify` that must stop it
    models: tuple[str, ...]  # of tiny.NAMES: those that it would make another model of
    config: Callable[[Mapping[str, Any]], Mapping[str, Any]] = unchanged  # what our reading is told of config.json
    family: Callable[[Family], Family] = unchanged  # the table by which it reads the checkpoint
    weights: Callable[[Weights], Weights] = unchanged  # what it makes of the checkpoint
    functions: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)  # by dotted name: what is computed


CLEAN = Bug("none", None, ())


@contextmanager
def injected(bug: Bug, config: Mapping[str, Any], read: Read) -> Iterator[Weights]:
    """Yield a model as it is read with a bug; its functions are wrong until the context ends.

    Args:
        bug: the bug; CLEAN for none.
        config: the checkpoint's config.json.
        read: returns the checkpoint's tensor of a name.
    """
    told = bug.config(config)
    lazy = LazyWeights(bug.family(family_of(told)), told, read)
    with ExitStack() as stack:
        for name, wrong in bug.functions.items():
            stack.enter_context(_replaced(name, wrong))
        yield bug.weights(lazy.load())


@contextmanager
def _replaced(dotted: str, wrong: Callable[[Any], Any]) -> Iterator[None]:
    """Put what `wrong` makes of a function in its place, wherever it was imported to."""
    module, _, name = dotted.rpartition(".")
    right = getattr(importlib.import_module(module), name)
    users = [user for user in list(sys.modules.values()) if getattr(user, "__dict__", {}).get(name) is right]
    other = wrong(right)
    try:
        for user in users:
            setattr(user, name, other)
        yield
    finally:
        for user in users:
            setattr(user, name, right)
