"""How every figure looks and how it is written: fonts, colours, titles, token labels, bytes."""

import functools
import textwrap
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.font_manager import findfont, get_font
from matplotlib.typing import RcKeyType

# Okabe and Ito's colours, told apart with any kind of colour blindness.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
BLACK, GREY, LIGHT = "#222222", "#777777", "#DDDDDD"
PROBABILITIES = "Blues"  # white is 0
SCORES = "RdBu_r"  # white is 0, or what chance would give

WIDTH = 3.3  # inches: one column of a paper
FONT = "DejaVu Sans"  # comes with matplotlib, so text has the same shape everywhere
SMALL, TITLE = 6.5, 9  # points; below 6, print cannot be read
LETTER, LINE, KEY = 0.056, 0.11, 0.13  # inches that a letter, a line and a line of keys of SMALL take
RC: dict[RcKeyType, object] = {
    "font.family": FONT,
    "font.size": SMALL,
    "axes.titlesize": 7,
    "axes.labelsize": SMALL,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.title_fontsize": SMALL,
    "legend.frameon": False,
    "legend.borderpad": 0,
    "legend.handlelength": 1.4,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1,
    "legend.labelspacing": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlelocation": "left",
    "axes.linewidth": 0.6,
    "axes.titlepad": 3,
    "axes.labelpad": 2,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.pad": 2,
    "ytick.major.pad": 2,
    "lines.linewidth": 1.1,
    "hatch.linewidth": 0.5,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.035,
    "figure.constrained_layout.w_pad": 0.03,
    # Names of shapes in an SVG are hashes; a fixed salt makes them the same in every run.
    "svg.hashsalt": "figures",
}
METADATA = {"svg": {"Date": None}, "png": {"Software": None}}


def new(title: str, caption: str, height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure with a title above and, below, how to read it.

    Args:
        title: said above.
        caption: said below.
        height: of what is drawn between them; inches.
        width: of all; inches.
    """
    lines = textwrap.fill(title, int(width * 11.5))
    figure = Figure(figsize=(width, height + 0.1 + (1 + lines.count("\n")) * LINE * TITLE / SMALL))
    figure.suptitle(lines, x=0.01, ha="left", fontsize=TITLE, fontweight="bold", color=BLACK)
    add_caption(figure, caption)
    return figure


def keyed(title: str, caption: str, height: float, lines: int) -> tuple[Figure, SubFigure, SubFigure]:
    """Return a `new` figure, its part to draw in, and the one below for so many lines of keys."""
    below = KEY * lines + 0.05
    figure = new(title, caption, height + below)
    drawn, keys = figure.subfigures(2, 1, squeeze=False, height_ratios=(height, below))[:, 0]
    return figure, drawn, keys


def add_caption(figure: Figure, text: str) -> None:
    """Put a paragraph below the figure, which grows by it, above those that are there."""
    lines = textwrap.wrap(text, int(figure.get_figwidth() * 19))
    figure.set_figheight(figure.get_figheight() + len(lines) * LINE)
    paragraphs = "\n".join([*lines, figure.get_supxlabel()])
    figure.supxlabel(paragraphs.strip(), x=0.01, ha="left", fontsize=SMALL, color=GREY)


def by_distance(axes: Axes) -> None:
    """Show distances 0 and 1 as clearly as 10 and 100, as far as the lines go."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.5)
    axes.set_xticks([0, 1, 10, 100, 1000], ["0", "1", "10", "100", "1,000"])
    axes.minorticks_off()
    axes.set_xlim(-0.15, max(np.asarray(line.get_xdata())[-1] for line in axes.lines))


def sentence(title: str, text: str) -> Figure:
    """Return a figure that says in words why there is nothing to draw."""
    return new(title, text, 0)


def percent(share: float) -> str:
    """Return a share as figures write it: 95 %."""
    return f"{100 * share:.6g} %"


def confidence_of(rows: pd.DataFrame) -> str:
    """Return how sure the intervals of a table are, as figures write it: 95 %."""
    return " and ".join(percent(share) for share in sorted(rows["confidence"].unique()))


def label(token: str, most: int = 14) -> str:
    """Return a token as figures show it: as given, shortened to `most` characters, safe to lay out.

    What cannot be printed, or has no glyph in the font, becomes an escape; a dollar sign is kept from
    starting mathematics.
    """
    shown = [_shown(character) for character in token]
    while sum(map(len, shown)) > most:
        shown = [*shown[:-2], "…"]
    return "".join(shown).replace("$", r"\$")


def _shown(character: str) -> str:
    printable = character.isprintable() and ord(character) in _glyphs()
    return character if printable else character.encode("unicode_escape").decode()


@functools.cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())


def save(figure: Figure, path: Path, kind: str, dpi: int) -> None:
    """Write a figure as `svg` or `png`: the same figure gives the same bytes, and no clock enters.

    Raises:
        ValueError: any other kind.
    """
    if kind not in METADATA:
        raise ValueError(f"a figure cannot be written as {kind!r}; ask for a name that ends in .svg or .png")
    with matplotlib.rc_context(RC):
        figure.savefig(path, format=kind, dpi=dpi, metadata=METADATA[kind])
