import numpy as np
import pandas as pd
import pytest
from made_up import labels
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures.grids import causal, heat_map, ink, pivot, room

MATRIX = np.array([[0.0, 1.0], [np.nan, -0.001]])


def drawn(matrix, rows, columns, numbers="", size=(2, 2)):
    axes = Figure().subplots()
    heat_map(axes, matrix, rows, columns, "Blues", Normalize(0, 1), size, numbers)
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


@pytest.mark.parametrize("size", [(0.3, 2), (2, 0.15)])
def test_cells_without_room_have_no_numbers(size):
    assert not drawn(MATRIX, ["a", "b"], ["c", "d"], "z.2f", size).texts


@pytest.mark.parametrize(("inches", "every"), [(2.3, 1), (2.1, 2), (1.0, 3)])
def test_where_there_is_no_room_not_every_row_has_a_label(inches, every):
    names = [str(place) for place in range(20)]
    axes = drawn(np.zeros((20, 1)), names, ["a"], size=(1, inches))
    assert labels(axes.get_yticklabels()) == names[::every]
    assert labels(axes.get_xticklabels()) == ["a"]


@pytest.mark.parametrize(
    ("names", "every", "turn"),
    [
        pytest.param(["0.0", "0.1"], 1, 0, id="room for all"),
        pytest.param([str(place) for place in range(20)], 2, 0, id="short ones stay upright, and fewer"),
        pytest.param([f"1.{place}0" for place in range(10, 30)], 2, 90, id="long ones are turned, and fewer"),
    ],
)
def test_columns_are_labelled_as_there_is_room(names, every, turn):
    ticks = drawn(np.zeros((1, len(names))), ["a"], names, size=(1.9, 1)).get_xticklabels()
    assert labels(ticks) == names[::every]
    assert {tick.get_rotation() for tick in ticks} == {turn}


def test_longer_labels_leave_less_room():
    assert room(["0.0"]) - room(["layer 0.0"]) == pytest.approx(6 * 0.056)
    assert room(["0.0"]) - room(["0.0"], right=0.5) == pytest.approx(0.5)


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
