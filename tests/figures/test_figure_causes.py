"""Figures of what the loss rests on: ablations, paths, validity."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from pipeline.figures.ablations import ablations as draw_ablations
from pipeline.figures.paths import paths as draw_paths
from pipeline.figures.validity import SETS
from pipeline.figures.validity import validity as draw_validity


def of_base(frame):
    return frame[frame["experiment"] == "base"]


@pytest.fixture
def drawn(ablations, paths, validity):
    pairs = ((draw_ablations, ablations), (draw_paths, paths), (draw_validity, validity))
    return {draw.__name__: draw(of_base(frame)) for draw, frame in pairs}


def test_only_sure_changes_are_written(drawn):
    novel, first, second = drawn["ablations"].axes[:3]
    assert not novel.texts
    assert not first.texts
    written = {text.get_position(): text.get_text() for text in second.texts}
    assert written == dict.fromkeys([(column, 5) for column in range(4)], "1.00")  # head 1.2 stands last
    assert second.images[0].norm(0) == pytest.approx(0.5)  # white is 0


def test_paths_stand_where_they_pass(drawn):
    figure = drawn["paths"]
    panels = [axes for axes in figure.axes if axes.images and axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == [
        "loss without the path, novel tokens",
        "loss without the path, second copies",
        "Shapley share, novel tokens",
        "Shapley share, second copies",
    ]
    expected = np.zeros((4, 4))
    expected[0, [0, 3]] = 1
    np.testing.assert_allclose(panels[0].images[0].get_array(), 2 * expected)
    np.testing.assert_allclose(panels[3].images[0].get_array(), expected)
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["direct", "1.0", "1.1", "1.2"]


def test_paths_of_one_layer(paths):
    figure = draw_paths(of_base(paths)[of_base(paths)["l1"] == "direct"])
    assert figure.axes[0].images[0].get_array().shape == (4, 1)


def test_scores_are_compared_with_the_effect_they_speak_of(drawn):
    figure = drawn["validity"]
    second = next(axes for axes in figure.axes if "second" in axes.get_title(loc="left"))
    labels = [label.get_text() for label in second.get_yticklabels()]
    assert labels == ["induction: mass", "previous token: mean", "K composition: frobenius (K)"]  # never (Q)
    dots = second.collections[-1]
    np.testing.assert_allclose(dots.get_offsets(), [[0.5, 0], [-0.5, 1], [-0.5, 2]])
    faces = [to_hex(colour) for colour in dots.get_facecolors()]
    assert faces == [SETS["repeated_tokens"][1].lower(), "#ffffff", "#ffffff"]  # only one is significant
