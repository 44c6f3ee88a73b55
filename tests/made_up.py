"""Reading what was made up, and what was drawn of it."""

from unittest import mock

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def of_base(frame):
    """The rows of one of the two experiments."""
    return frame[frame["experiment"] == "base"]


def labels(texts):
    return [text.get_text() for text in texts]


def titles(panels):
    return [axes.get_title(loc="left") for axes in panels]


def drawn_texts(figure):
    """Every text that is drawn, with its place in pixels."""
    found, draw = {}, Text.draw

    def noted(text, renderer, *args, **kwargs):
        if text.get_visible() and text.get_text().strip():
            found[id(text)] = text
        draw(text, renderer, *args, **kwargs)

    with mock.patch.object(Text, "draw", noted):
        FigureCanvasAgg(figure).draw()
    return [(text, text.get_window_extent()) for text in found.values()]


def caption(figure):
    """Without its line breaks."""
    return figure.get_supxlabel().replace("\n", " ")
