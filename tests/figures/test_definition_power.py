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
    induction, of_induction, _, copying, of_copying, _ = draw(definition_power, definition_curves).axes
    assert texts(induction.get_yticklabels()) == ["mass (text)"]
    assert texts(copying.get_yticklabels()) == ["olsson (one period)", "top1 (weights)"]
    (line,) = [line for line in copying.lines if line.get_marker() == "o"]
    assert list(line.get_xdata()) == [0.9, 0.8]
    assert texts(of_copying.get_xticklabels()) == ["wired", "weak"]
    (image,) = of_copying.get_images()
    assert np.asarray(image.get_array()).tolist() == [[1.0, 0.5]] * 2
    assert of_induction.get_title(loc="left") == "power at 5 % false positives"


def test_look_alikes_and_sentences_stand_beside(definition_power, definition_curves):
    beside = texts(draw(definition_power, definition_curves).axes[4].texts)[4:]
    assert beside == ["0.30", "4", "0.30", "-", "look-alikes", "n"]
    assert texts(draw(definition_power, definition_curves).axes[1].texts)[2:4] == ["0.30", "all"]


def test_the_curve_of_the_best_is_drawn_over_the_others(definition_power, definition_curves):
    curves = draw(definition_power, definition_curves).axes[5].lines[:-1]
    assert [line.get_color() == BLUE for line in curves] == [False, True]
    assert [list(line.get_xdata()) for line in curves] == [[0, 0.05, 1]] * 2
    assert curves[0].get_ydata().tolist() == [0.7, 0.7**0.95, 1]
