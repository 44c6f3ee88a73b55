"""Which rows of a table: a small language, `layer = 1 and (value > 0.5 or metric = induction)`, that runs no code."""

import operator
import re
from collections.abc import Callable

import pandas as pd

from pipeline.plumbing.errors import nearest

OPERATORS: dict[str, Callable] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
TOKEN = re.compile(r"""\s*(?:(<=|>=|==|!=|[=<>()])|"([^"]*)"|'([^']*)'|([^\s<>=!()"']+))""")
HELP = "write COLUMN OPERATOR VALUE, joined by and, or, not and brackets; operators: = != < <= > >="


def chosen(frame: pd.DataFrame, text: str) -> pd.DataFrame:
    """Return the rows that a condition holds for; of a value that is null, no comparison holds.

    Raises:
        ValueError: it cannot be read, or names no column of the table.
    """
    parser = _Parser(frame, _tokens(text), text)
    mask = parser.either()
    if parser.rest:
        raise parser.wrong(f"cannot go on with {parser.rest[0][1]!r}")
    return frame[mask]


def _tokens(text: str) -> list[tuple[str, str]]:
    """Return (kind, text): kinds are sign, quoted and word."""
    tokens, place = [], 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"--where {text!r}: cannot be read at {text[place:].strip()[:20]!r}; {HELP}")
        sign, double, single, word = match.groups()
        quoted = double if double is not None else single
        tokens.append(("sign", sign) if sign else ("word", word) if word else ("quoted", quoted or ""))
        place = match.end()
    return tokens


class _Parser:
    """Reads a condition from the left, loosest binding first."""

    def __init__(self, frame: pd.DataFrame, tokens: list[tuple[str, str]], text: str) -> None:
        self.frame, self.rest, self.text = frame, tokens, text

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"--where {self.text!r}: {what}; {HELP}")

    def next(self, what: str) -> tuple[str, str]:
        if not self.rest:
            raise self.wrong(f"ends where {what} should come")
        return self.rest.pop(0)

    def takes(self, word: str) -> bool:
        found = bool(self.rest) and self.rest[0][0] != "quoted" and self.rest[0][1].lower() == word
        if found:
            self.rest.pop(0)
        return found

    def either(self) -> pd.Series:
        mask = self.both()
        while self.takes("or"):
            mask = self.both() | mask
        return mask

    def both(self) -> pd.Series:
        mask = self.one()
        while self.takes("and"):
            mask = self.one() & mask
        return mask

    def one(self) -> pd.Series:
        if self.takes("not"):
            return ~self.one()
        if self.takes("("):
            mask = self.either()
            if not self.takes(")"):
                raise self.wrong("a bracket is not closed")
            return mask
        return self.comparison()

    def comparison(self) -> pd.Series:
        _, column = self.next("a column")
        if column not in self.frame:
            raise self.wrong(f"no column {column}{nearest(column, list(self.frame.columns))}")
        _, sign = self.next("an operator")
        if sign not in OPERATORS:
            raise self.wrong(f"{sign!r} is no operator")
        kind, value = self.next("a value")
        if kind == "sign":
            raise self.wrong(f"{value!r} is no value")
        return self.compared(self.frame[column], sign, value, kind)

    def compared(self, values: pd.Series, sign: str, value: str, kind: str) -> pd.Series:
        if kind == "word" and value.lower() == "null" and sign in ("=", "==", "!="):
            return values.notna() if sign == "!=" else values.isna()
        wanted: object = value
        if pd.api.types.is_bool_dtype(values):
            wanted = {"true": True, "false": False}.get(value.lower())
        elif pd.api.types.is_numeric_dtype(values):
            try:
                wanted = float(value)
            except ValueError:
                wanted = None
        if wanted is None:
            raise self.wrong(f"column {values.name} holds {values.dtype}, which {value!r} is none of")
        mask = OPERATORS[sign](values, wanted)
        return mask.fillna(False).astype(bool) & values.notna()
