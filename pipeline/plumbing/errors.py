"""A person's mistake in one line: the key, the value, and the nearest right one."""

import difflib
import re
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

# Groups of conf/ that are not a stage's own: a person sets `model.n_heads`, whichever stage refuses it.
GROUPS = ("data", "tokenizer", "model")

SHOWN = 250  # characters at either end of a line that quotes more


class ConfigError(Exception):
    """A request that cannot be carried out; its text is the whole message, one line whatever values it quotes."""

    def __init__(self, message: str) -> None:
        """Take the message, of which line ends become spaces and more than two ends' worth is left out."""
        line = re.sub(r"\s+", " ", message)
        middle = " ... " if len(line) > 2 * SHOWN else ""
        super().__init__(f"{line[:SHOWN]}{middle}{line[-SHOWN:]}" if middle else line)


def nearest(wrong: str, right: list[str]) -> str:
    """Return '; did you mean X?', or the choices when nothing is close and they are few."""
    if close := difflib.get_close_matches(wrong, right, n=1, cutoff=0.5):
        return f"; did you mean {close[0]}?"
    # A group's key inside another: `learning_rate` for `train.learning_rate`.
    if inside := [name for name in right if name.rsplit(".", 1)[-1] == wrong.rsplit(".", 1)[-1]]:
        return f"; did you mean {inside[0]}?"
    return f"; there are {', '.join(sorted(right))}" if 0 < len(right) <= 20 else ""


def explain(stage: str, settings: dict, usual: dict, error: ValidationError, named: Callable[[str], str] = str) -> str:
    """Return pydantic's first complaint as one line in the configuration's own words.

    Args:
        stage: whose slice was refused.
        settings: the slice.
        usual: the slice as conf/ has it, whose value is offered as one that is right.
        error: what pydantic said.
        named: the key by which a person sets what stands at a stage's place.
    """
    first = error.errors()[0]
    # A group of several kinds (`model`) has its kind in the place, which is no key.
    place = [str(part) for part in first["loc"] if part not in _kinds(settings)]
    # conf/<stage> holds whole groups by interpolation (`model: ${model}`): name the group a person sets.
    key = ".".join(place if place and place[0] in GROUPS else [stage, *place])
    key = named(key)
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        return f"{key}: no such setting"
    if first["type"] == "missing":
        return f"{key}: not set; give it a value in conf/ or in overrides"
    given = at(settings, ".".join(place))
    if first["type"] == "value_error":
        whole = "" if isinstance(given, dict) or str(given) in message else f"={given}"
        return message if "=" in message else f"{key}{whole}: {message}"
    value = at(usual, ".".join(place))
    hint = "" if value in (None, given) else f"; conf/ has {value}"
    return f"{key}={given}: {message[0].lower()}{message[1:]}{hint}"


def at(values: object, key: str) -> Any:
    """Return what stands at a dotted key of nested settings, all at an empty one; None where there is nothing."""
    for part in filter(None, key.split(".")):
        if isinstance(values, list) and part.isdigit():
            values = dict(enumerate(values)).get(int(part))
        else:
            values = values.get(part) if isinstance(values, dict) else None
    return values


def _kinds(settings: dict) -> set[str]:
    """Return the names that say which kind of a group was chosen."""
    groups = [value for value in settings.values() if isinstance(value, dict)]
    return {str(group[name]) for group in groups for name in ("source", "kind") if name in group}
