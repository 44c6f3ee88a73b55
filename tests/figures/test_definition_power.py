import numpy as np

from pipeline.figures.definition_power import definition_power as draw
from pipeline.figures.style import BLUE


def texts(labels):
    return [label.get_text() for label in labels]


def test_the_title_names_the_best_of_each_function(definition_power, definition_curves):
    assert draw(definition_power, definition_curves).get_suptitle().replace("\n", " ") == (
        "Which score to take: induction, mass (text); copying, olsson (one period)"
    )


def test_every_definition_is_shown_once_in_its_best_way(definition_power, definition_curves):
    induction, of_induction, copying, of_copying, _, _ = draw(definition_power, definition_curves).axes
    assert texts(induction.get_yticklabels()) == ["mass (text)"]
    assert texts(copying.get_yticklabels()) == ["olsson (one period)", "top1 (weights)"]
    (line,) = [line for line in copying.lines if line.get_marker() == "o"]
    assert list(line.get_xdata()) == [0.9, 0.8]
    assert texts(of_copying.get_xticklabels()) == ["wired", "weak", "look-alikes"]
    (image,) = of_copying.get_images()
    np.testing.assert_allclose(image.get_array(), [[100, 50, 30]] * 2)
    assert of_induction.get_title(loc="right") == "power, %; n"


def test_the_sentences_needed_stand_beside(definition_power, definition_curves):
    axes = draw(definition_power, definition_curves).axes
    assert texts(axes[3].get_yticklabels()) == ["4", "-"]
    assert texts(axes[1].get_yticklabels()) == ["all"]


def test_the_curve_of_the_best_is_drawn_over_the_others(definition_power, definition_curves):
    curves = draw(definition_power, definition_curves).axes[5].lines[:-1]
    assert [line.get_color() == BLUE for line in curves] == [False, True]
    assert [list(line.get_xdata()) for line in curves] == [[0, 0.05, 1]] * 2
    assert curves[0].get_ydata().tolist() == [0.7, 0.7**0.95, 1]
