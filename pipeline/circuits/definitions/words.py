"""Definitions, for people to read."""

import math

from pipeline.circuits.definitions.definition import Level


def level_in_words(number: Level) -> str:
    """Return a level in words; one that depends on model or sequences stands in the tables."""
    if callable(number):
        return "by model"
    return "in the table" if math.isnan(number) else f"{number:g}"
