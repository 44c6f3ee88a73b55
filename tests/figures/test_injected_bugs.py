import numpy as np
from numpy import nan

from pipeline.figures.injected_bugs import injected_bugs as draw


def test_the_title_counts_what_is_caught_and_what_is_stopped(injected_bugs):
    title = draw(injected_bugs).get_suptitle().replace("\n", " ")
    assert title == "2 of 3 injected bugs are caught, and 0 of 2 clean models are stopped"


def test_gates_stand_with_their_bugs_and_families_side_by_side(injected_bugs):
    (axes,) = draw(injected_bugs).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "logits: 1 bug",
        "terms: 1 bug",
        "no bug",
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["gpt2", "llama"]
    (image,) = axes.get_images()
    np.testing.assert_array_equal(np.ma.filled(image.get_array(), nan), [[0.5, nan], [nan, 1], [1, 1]])
    assert [text.get_text() for text in axes.texts] == ["50%", "100%", "100%", "100%"]
