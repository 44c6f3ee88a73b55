"""Answers as text: tables on a terminal or plain, JSON, Parquet; tokens are always text, whatever they hold."""

import json
import math
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # of characters that show nothing, or move what is shown
NOTHING = "-"  # what a table shows of a value that does not exist


@dataclass(frozen=True)
class Section:
    """One part of an answer."""

    title: str
    frame: pd.DataFrame  # all of it, for scripts
    shown: pd.DataFrame | Text | None = None  # what people see; the frame itself if not given
    note: str = ""
    coloured: bool = False  # whether it says by colours alone what other sections say in numbers

    @property
    def name(self) -> str:
        """What scripts call it."""
        return self.title.split(":")[0].split(" (")[0].lower().replace(" ", "_")


def visible(token: str) -> str:
    """Return a token with every character that shows nothing, or would act on the terminal, as <U+200F>."""
    return "".join(f"<U+{ord(c):04X}>" if unicodedata.category(c) in HIDDEN else c for c in token)


def number(value: Any) -> str:
    """Return a value as tables show it: four digits of a number, text made `visible`."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return NOTHING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{float(value) + 0.0:.4g}"
    return visible(str(value))


class Screen:
    """Where answers go: a terminal, with colours, or plain text as wide as it needs."""

    def __init__(self, console: Console | None = None) -> None:
        """Take the console; standard output if none is given."""
        console = console or Console(highlight=False, markup=False, emoji=False)
        if not console.is_terminal:
            console = Console(file=console.file, width=PLAIN_WIDTH, highlight=False, markup=False, emoji=False)
        self.console = console

    def say(self, text: str, style: str = "") -> None:
        """Print one line."""
        self.console.print(Text(visible(text), style=style))

    def show(self, section: Section) -> None:
        """Print one section; of plain text, without the spaces at the ends of lines."""
        if self.console.is_terminal:
            self._show(section)
        elif not section.coloured:
            with self.console.capture() as shown:
                self._show(section)
            self.console.file.write("\n".join(line.rstrip() for line in shown.get().split("\n")))

    def _show(self, section: Section) -> None:
        self.console.print()
        self.say(section.title, "bold")
        shown = section.frame if section.shown is None else section.shown
        if isinstance(shown, Text):
            self.console.print(shown)
        elif len(shown):
            self.console.print(table(shown))
        if section.note:
            self.say(section.note, "dim")


PLAIN_WIDTH = 2000


def table(frame: pd.DataFrame) -> Table:
    """Return a frame as a table; its numbers to the right."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for name in frame.columns:
        kind = frame[name].dtype.kind if hasattr(frame[name].dtype, "kind") else "O"
        right = kind in "iuf"
        drawn.add_column(Text(str(name).strip()), justify="right" if right else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        drawn.add_row(*(each if isinstance(each, Text) else Text(number(each)) for each in row))
    return drawn


def as_json(about: dict[str, Any], sections: Iterable[Section]) -> str:
    """Return an answer as JSON: what it is about, and the rows of every section."""
    answer = {section.name: json.loads(section.frame.to_json(orient="records")) for section in sections}
    return json.dumps(about | answer, ensure_ascii=True, indent=1)


def save_parquet(sections: Iterable[Section], file: Path) -> None:
    """Write an answer as one table; of several sections, `section` says which a row is of."""
    parts = list(sections)
    frames = [part.frame if len(parts) == 1 else part.frame.assign(section=part.name) for part in parts]
    whole = pd.concat([frame for frame in frames if len(frame.columns)], ignore_index=True)
    try:
        whole.to_parquet(file, index=False)
    except OSError as error:
        raise ValueError(f"--parquet {file}: cannot be written ({error.strerror or error})") from error


def give(
    about: dict[str, Any], sections: Iterator[Section], screen: Screen, as_text: bool, parquet: Path | None
) -> None:
    """Give an answer in the form asked for, each section as soon as it is there.

    Args:
        about: what it is about, said first.
        sections: its parts.
        screen: where text goes.
        as_text: tables, and not JSON.
        parquet: a file to write as well.
    """
    kept = []
    if as_text:
        for text in about.values():
            screen.say(str(text), "dim")
    for section in sections:
        kept.append(section)
        if as_text:
            screen.show(section)
    if not as_text:
        sys.stdout.write(as_json(about, kept) + "\n")
    if parquet is not None:
        save_parquet(kept, parquet)
