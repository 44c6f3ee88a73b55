"""What a figure is: a function that draws, and what it is drawn from."""

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure

from pipeline.figures.style import RC


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn, in the project's style whatever style is set elsewhere."""

    draw: Callable[..., Figure]
    tables: tuple[str, ...]  # whose rows it is given, in this order
    settings: tuple[str, ...]  # of conf/render, whose values it is given after them

    def __call__(self, *tables_and_settings) -> Figure:
        """Draw the figure."""
        with matplotlib.rc_context(RC):
            return self.draw(*tables_and_settings)


def drawn_from(*tables: str, settings: tuple[str, ...] = ()) -> Callable[[Callable[..., Figure]], Drawing]:
    """Declare a function a figure: which tables it is drawn from, and which settings of conf/render it depends on."""

    def declare(draw: Callable[..., Figure]) -> Drawing:
        return Drawing(draw, tables, settings)

    return declare
