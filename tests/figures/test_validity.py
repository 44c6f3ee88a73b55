import numpy as np
from made_up import caption, of_base
from matplotlib.colors import to_hex

from pipeline.figures.validity import SETS
from pipeline.figures.validity import validity as draw


def test_scores_are_compared_with_the_effect_they_speak_of(validity):
    figure = draw(of_base(validity))
    second = next(axes for axes in figure.axes if "second" in axes.get_title(loc="left"))
    labels = [label.get_text() for label in second.get_yticklabels()]
    assert labels == ["induction: mass", "previous: mean", "K composition: frobenius (K)"]  # never (Q)
    dots = second.collections[-1]
    np.testing.assert_allclose(dots.get_offsets(), [[0.5, 0], [-0.5, 1], [-0.5, 2]])
    faces = [to_hex(colour) for colour in dots.get_facecolors()]
    assert faces == [SETS["repeated_tokens"][1].lower(), "#ffffff", "#ffffff"]  # only one is significant


def test_what_is_significant_is_what_the_table_says(validity):
    rows = of_base(validity).assign(significance=0.6)
    second = next(axes for axes in draw(rows).axes if "second" in axes.get_title(loc="left"))
    assert "#ffffff" not in {to_hex(colour) for colour in second.collections[-1].get_facecolors()}
    assert "Filled: q < 0.6." in caption(draw(rows))


def test_the_caption_tells_how_sure_and_what_lies_by_chance(validity):
    text = caption(draw(of_base(validity)))
    assert "Bars: 90 % intervals" in text
    assert "Grey: where 80 % of random orders" in text  # a tenth lies beyond either end
    assert "Filled: q < 0.02." in text
