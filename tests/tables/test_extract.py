import numpy as np

from pipeline.tables.extract import WEIGHTS


def test_a_matrix_is_kept_row_by_row_and_what_has_no_layer_comes_first(kept, refusal):
    """W_Q of one head, [[1, 2, 3], [4, 5, 6]]; a bias of the layer as a whole; an embedding of no layer."""
    query = [
        {"name": "W_Q", "layer": 0, "head": 1, "row": row, "values": [1.0 + 3 * row, 2.0 + 3 * row, 3.0 + 3 * row]}
        for row in (1, 0)
    ]
    bias = {"name": "b_O", "layer": 0, "row": 0, "values": [7.0]}
    embedding = {"name": "W_E", "row": 0, "values": [0.5, 0.25]}
    rows = kept(WEIGHTS, *query, bias, embedding)
    assert rows["name"].tolist() == ["W_E", "W_Q", "W_Q", "b_O"]
    np.testing.assert_array_equal(np.stack(rows["values"][1:3]), [[1, 2, 3], [4, 5, 6]])
    assert rows["layer"].isna().tolist() == [True, False, False, False]
    assert rows["head"].isna().tolist() == [True, False, False, True]
    assert "two rows share the key" in refusal(WEIGHTS, embedding, embedding)


def test_weights_are_numbers(refusal):
    row = {"name": "b_U", "row": 0, "values": [0.0, float("inf")]}
    assert refusal(WEIGHTS, row) == "column values: holds an infinite value or NaN"
