import numpy as np
import pytest
from made_up import of_base

from pipeline.figures.composition import composition as draw


def test_composition_is_white_at_chance(head_pairs):
    figure = draw(of_base(head_pairs))
    queries, keys, values, circuit = figure.axes[:4]
    for axes in (queries, keys, values):
        image = axes.images[0]
        assert image.norm(0.1) == pytest.approx(0.5)
        np.testing.assert_allclose(image.get_array(), 0.1 + 0.1 * np.array([[0, 0, 0], [0, 0, 1], [0, 0, 0]]))
    assert "K circuit" in circuit.get_title(loc="left")
    assert [text.get_text() for text in circuit.get_xticklabels()] == ["1.0", "1.1", "1.2"]


def test_one_layer_has_no_composition(head_pairs):
    figure = draw(head_pairs.iloc[:0])
    assert figure.axes == []
    assert "single layer" in figure.get_supxlabel()
