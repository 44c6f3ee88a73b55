import numpy as np
from made_up import of_base

from pipeline.figures.paths import paths as draw


def test_paths_stand_where_they_pass(paths):
    figure = draw(of_base(paths))
    panels = [axes for axes in figure.axes if axes.images and axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == [
        "loss without the path,\nnovel tokens",
        "Shapley share,\nnovel tokens",
        "loss without the path,\nsecond copies",
        "Shapley share,\nsecond copies",
    ]
    expected = np.zeros((4, 4))
    expected[0, [0, 3]] = 1
    np.testing.assert_allclose(panels[0].images[0].get_array(), 2 * expected)
    np.testing.assert_allclose(panels[3].images[0].get_array(), expected)
    assert [label.get_text() for label in panels[2].get_xticklabels()] == ["direct", "1.0", "1.1", "1.2"]


def test_paths_of_one_layer(paths):
    figure = draw(of_base(paths)[of_base(paths)["l1"] == "direct"])
    assert figure.axes[0].images[0].get_array().shape == (4, 1)
