import numpy as np
import pytest
from made_up import labels, of_base, titles

from pipeline.figures.role_coverage import role_coverage as draw
from pipeline.figures.style import BLUE, ORANGE


def marks(axes, colour, marker):
    """Where the marks of one kind lie, by head."""
    lines = [line for line in axes.lines if line.get_color() == colour and line.get_marker() == marker]
    return {round(float(y)): round(float(x), 9) for line in lines for x, y in line.get_xydata()}


def test_a_panel_a_role_between_effect_and_what_is_unexplained(role_coverage):
    effect, previous, induction, copying, rest = draw(of_base(role_coverage)).axes
    assert titles([previous, induction, copying]) == ["previous\ntoken", "induction", "copying"]
    assert labels(effect.get_yticklabels())[:2] == ["0.0", "0.1"]
    assert [bar.get_width() for bar in effect.patches] == [0.1, 0.1, 0.1, 0.1, 0.1, 0.0]
    assert marks(previous, ORANGE, "o")[1] == 0.9
    assert marks(induction, ORANGE, "o")[1] == 0.1
    # The last head has no effect, and no share.
    assert set(marks(previous, ORANGE, "o")) == {0, 1, 2, 3, 4}
    np.testing.assert_allclose([bar.get_width() for bar in rest.patches], [0.9, 0.05, 0.9, 0.9, 0.9])


def test_who_is_above_chance_is_full_and_what_lies_beyond_the_axis_is_told(role_coverage):
    _, previous, _, copying, _ = draw(of_base(role_coverage)).axes
    full = [line for line in previous.lines if line.get_marker() == "o" and line.get_fillstyle() == "full"]
    assert [line.get_ydata().tolist() for line in full] == [[1]]
    assert marks(previous, BLUE, "|") == dict.fromkeys(range(5), 0.1)
    assert set(marks(copying, BLUE, "<")) == set(range(5))
    assert not marks(copying, BLUE, "|")


@pytest.mark.parametrize("unsure", ["lo", "above_lo"])
def test_what_may_be_nothing_or_chance_is_hollow(role_coverage, unsure):
    surely = role_coverage["share"] > 0.5
    ends = {"lo": 0.05, "above_lo": 0.05} | {unsure: -0.1}
    rows = role_coverage.assign(**{end: role_coverage[end].where(surely, value) for end, value in ends.items()})
    _, previous, *_ = draw(of_base(rows)).axes
    hollow = [line for line in previous.lines if line.get_marker() == "o" and line.get_fillstyle() == "none"]
    assert sorted(y for line in hollow for y in line.get_ydata()) == [0, 2, 3, 4]
