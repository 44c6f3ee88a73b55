import pytest
from made_up import caption, labels

from pipeline.figures.effects import effects as draw
from pipeline.figures.style import BLUE


def test_effects_are_filled_where_they_are_significant_and_kept_in_view(effects):
    panels = {axes.get_title(loc="left"): axes for axes in draw(effects).axes}
    (back,), (matching,), (pair,) = (
        [line for line in panels[title].lines if line.get_marker() == "o" and line.get_ydata()[0] == 0]
        for title in ("attention one back", "prefix matching", "K-composition")
    )
    assert back.get_markerfacecolor() == BLUE
    assert matching.get_markerfacecolor() == "white"
    assert pair.get_xdata()[0] == -0.1  # no interval, and still a dot
    assert panels["prefix matching"].get_xlim() == pytest.approx((-1.04, 1.04))  # not as wide as the widest interval
    assert panels["gain from context"].get_xlim() == pytest.approx((-2.6, 2.6))
    assert labels(next(iter(panels.values())).get_yticklabels())[0] == "base\n(2 of 5)"


def test_one_seed_is_no_test(effects):
    figure = draw(effects.assign(lo=None, hi=None, p=float("nan"), q=float("nan")))
    assert labels(figure.axes[0].get_yticklabels())[0] == "base"


def test_what_is_significant_is_what_the_table_says(effects):
    strict = draw(effects.assign(significance=0.003))
    assert labels(strict.axes[0].get_yticklabels())[0] == "base\n(0 of 5)"
    assert "Filled: q < 0.003 (" in caption(strict)


def test_the_caption_tells_how_sure(effects):
    assert "with its 90 % interval" in caption(draw(effects))
