import pytest
from made_up import caption
from matplotlib.colors import to_rgba

from pipeline.figures.effects import effects as draw
from pipeline.figures.style import BLUE


def test_effects_are_filled_where_they_are_significant_and_kept_in_view(effects):
    figure = draw(effects)
    scores, _, losses, _ = figure.axes
    dots = {line.get_ydata()[0]: line for line in scores.lines if line.get_marker() == "o"}
    assert dots[0].get_markerfacecolor() == BLUE
    assert dots[1].get_markerfacecolor() == "white"
    assert dots[4].get_xdata()[0] == -0.1  # no interval, and still a dot
    assert scores.get_xlim() == pytest.approx((-1.04, 1.04))  # not as wide as the widest interval
    assert losses.get_xlim() == pytest.approx((-2.6, 2.6))
    assert scores.get_title(loc="left") == "base\n2 of 5 measures differ"
    assert to_rgba(BLUE) == to_rgba(dots[0].get_color())


def test_one_seed_is_no_test(effects):
    figure = draw(effects.assign(lo=None, hi=None, p=float("nan"), q=float("nan")))
    assert "one seed, no test" in figure.axes[0].get_title(loc="left")


def test_what_is_significant_is_what_the_table_says(effects):
    strict = draw(effects.assign(significance=0.003))
    assert strict.axes[0].get_title(loc="left") == "base\n0 of 5 measures differ"
    assert "Filled: q < 0.003 (" in caption(strict)


def test_the_caption_tells_how_sure(effects):
    assert "with its 90 % interval" in caption(draw(effects))
