import matplotlib
import pytest
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import RC


@drawn_from("head_scores", "paths", settings=("tokens",))
def example(scores, paths, tokens):
    figure = Figure()
    figure.text(0, 0, f"{scores} {paths} {tokens} {matplotlib.rcParams['font.size']}")
    return figure


def test_a_figure_says_what_it_is_drawn_from():
    assert example.tables == ("head_scores", "paths")
    assert example.settings == ("tokens",)


@pytest.mark.parametrize("size", [5.0, 20.0])
def test_it_is_drawn_in_the_projects_style_whatever_style_is_set(size):
    with matplotlib.rc_context({"font.size": size}):
        (text,) = example("scores", "paths", 3).texts
        assert matplotlib.rcParams["font.size"] == size
    assert text.get_text() == f"scores paths 3 {float(RC['font.size'])}"
