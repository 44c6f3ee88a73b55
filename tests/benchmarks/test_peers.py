import pytest
import torch

from pipeline.benchmarks import peers
from pipeline.benchmarks.peers import faiss_knn, multiply_tiles, threshold_dense, two_passes


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


# Rows and columns that no tile divides, and primes, so that no two entries are equal.
P, Q = [-7, -5, 2, 3, 11, 13, 17], [-19, 23, 29, -31, 37, 41]
FACTORS = [torch.tensor(side, dtype=torch.float32)[:, None] for side in (P, Q)]


def check_lists(top, bottom):
    entries = sorted((p * q, row, column) for row, p in enumerate(P) for column, q in enumerate(Q))
    for (rows, columns, values), sign, expected in ((top, 1, entries[::-1][:4]), (bottom, -1, entries[:4])):
        found = zip((sign * values).tolist(), rows.tolist(), columns.tolist(), strict=True)
        assert list(found) == expected


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_passes_list_both_ends(monkeypatch, compiled):
    monkeypatch.setattr(peers, "ROWS", 3)
    monkeypatch.setattr(peers, "COLUMNS", 4)
    check_lists(*two_passes(*FACTORS, 4, compiled))


@pytest.mark.slow
def test_faiss_lists_both_ends():
    check_lists(*faiss_knn(*FACTORS, 4))
