"""Reading what was made up, and what was drawn of it."""


def of_base(frame):
    """The rows of one of the two experiments."""
    return frame[frame["experiment"] == "base"]


def labels(texts):
    return [text.get_text() for text in texts]


def titles(panels):
    return [axes.get_title(loc="left") for axes in panels]


def caption(figure):
    """Without its line breaks."""
    return figure.get_supxlabel().replace("\n", " ")
