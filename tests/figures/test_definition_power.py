import numpy as np

from pipeline.figures.definition_power import definition_power as draw


def texts(labels):
    return [label.get_text() for label in labels]


def test_the_title_names_the_best_of_each_function(definition_power):
    assert draw(definition_power).get_suptitle().replace("\n", " ") == (
        "Which score to take: induction, mass (text); copying, olsson (one period)"
    )


def test_every_definition_is_shown_once_in_its_best_way(definition_power):
    induction, of_induction, copying, of_copying = draw(definition_power).axes
    assert texts(induction.get_yticklabels()) == ["mass (text)"]
    assert texts(copying.get_yticklabels()) == ["olsson (one period)", "top1 (weights)"]
    (line,) = [line for line in copying.lines if line.get_marker() == "o"]
    assert list(line.get_xdata()) == [0.9, 0.8]
    assert texts(of_copying.get_xticklabels()) == ["wired", "weak"]
    (image,) = of_copying.get_images()
    assert np.asarray(image.get_array()).tolist() == [[1.0, 0.5]] * 2
    assert of_induction.get_title(loc="left") == "power at 5 % false positives"


def test_look_alikes_and_sentences_stand_beside(definition_power):
    beside = texts(draw(definition_power).axes[3].texts)[4:]
    assert beside == ["0.30", "4", "0.30", "-", "look-alikes", "n"]
    assert texts(draw(definition_power).axes[1].texts)[2:4] == ["0.30", "all"]
