import numpy as np
import pandas as pd
import pytest
from made_up import labels
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures.grids import MOST_LABELS, causal, heat_map, ink, pivot

MATRIX = np.array([[0.0, 1.0], [np.nan, -0.001]])


def drawn(matrix, rows, columns, numbers=""):
    axes = Figure().subplots()
    heat_map(axes, matrix, rows, columns, "Blues", Normalize(0, 1), numbers)
    return axes


def test_cells_are_written_in_the_format_and_what_is_undefined_stays_blank():
    axes = drawn(MATRIX, ["a", "b"], ["c", "d"], "z.2f")
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "0.00",
        (1, 0): "1.00",
        (1, 1): "0.00",
    }
    assert [text.get_color() for text in axes.texts] == ["black", "white", "black"]
    assert not drawn(MATRIX, ["a", "b"], ["c", "d"]).texts


@pytest.mark.parametrize(("size", "every"), [(MOST_LABELS, 1), (MOST_LABELS + 1, 2), (2 * MOST_LABELS + 1, 3)])
def test_where_there_are_too_many_not_every_row_has_a_label(size, every):
    names = [str(place) for place in range(size)]
    axes = drawn(np.zeros((size, 1)), names, ["a"])
    assert labels(axes.get_yticklabels()) == names[::every]
    assert labels(axes.get_xticklabels()) == ["a"]


@pytest.mark.parametrize(
    ("background", "text"), [((1, 1, 1, 1), "black"), ((0, 0, 0, 1), "white"), ((0, 0, 1, 1), "white")]
)
def test_text_can_be_read_on_its_background(background, text):
    assert ink(background) == text


def test_values_stand_in_the_order_asked_for():
    frame = pd.DataFrame({"row": ["a", "a", "b"], "column": ["x", "x", "y"], "value": [1.0, 3.0, 5.0]})
    np.testing.assert_array_equal(
        pivot(frame, "row", "column", "value", ["b", "a", "c"], ["x", "y"]),
        [[np.nan, 5], [2, np.nan], [np.nan, np.nan]],
    )


def test_what_lies_ahead_is_blank():
    frame = pd.DataFrame([(0, 0, 1.0), (1, 0, 2.0), (1, 1, 3.0)], columns=["query", "key", "score"])
    np.testing.assert_array_equal(causal(frame, "score", 2), [[1, np.nan], [2, 3]])
