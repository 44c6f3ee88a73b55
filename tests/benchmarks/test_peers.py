import pytest
import torch

from pipeline.benchmarks.peers import multiply_tiles, threshold_dense


def test_the_notebook_recipe_lists_entries_from_the_threshold_up():
    W_E = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
    W_U = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    same = torch.eye(2)
    # The circuit is [[1, 0, -1], [0, 2, 0], [3, 0, -3]].
    rows, columns, values = threshold_dense(W_E, same, same, W_U, 1.0)
    assert rows.tolist() == [2, 1, 0]
    assert columns.tolist() == [0, 1, 0]
    assert values.tolist() == [3.0, 2.0, 1.0]


@pytest.mark.parametrize("side", [1, 3, 100])
def test_the_bare_product_leaves_its_factors_alone(side):
    P, Q = torch.ones(7, 2), torch.ones(5, 2)
    multiply_tiles(P, Q, side)
    assert torch.equal(P, torch.ones(7, 2))
    assert torch.equal(Q, torch.ones(5, 2))
