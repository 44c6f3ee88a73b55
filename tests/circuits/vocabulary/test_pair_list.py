from math import inf

import pytest
import torch

from pipeline.circuits.vocabulary.pair_list import PairList, entries
from pipeline.circuits.vocabulary.tall import Tall

# The circuit is [[0, 2, 4], [3, 2, 1], [4, 4, 4]].
CIRCUIT = torch.tensor([[0.0, 2, 4], [3, 2, 1], [4, 4, 4]], dtype=torch.float64)
EVERY = torch.cartesian_prod(torch.arange(3), torch.arange(3)).unbind(1)


def offered(k, sign=1, low=-inf, high=inf, allowed=None):
    """The list after every pair was offered, the last first, with its value for a bound."""
    end = PairList(Tall.of(CIRCUIT), Tall.of(torch.eye(3, dtype=torch.float64)), k, sign, low, high, allowed)
    rows, columns = EVERY
    for row, column in zip(rows.flip(0).split(4), columns.flip(0).split(4), strict=True):
        end.offer(row, column, sign * CIRCUIT[row, column])
    end.settle()
    return end


def as_list(end):
    return list(zip(end.rows.tolist(), end.columns.tolist(), end.values.tolist(), strict=True))


def test_equals_come_by_row_then_column():
    assert as_list(offered(5)) == [(0, 2, 4), (2, 0, 4), (2, 1, 4), (2, 2, 4), (1, 0, 3)]
    assert as_list(offered(2, sign=-1)) == [(0, 0, 0), (1, 2, -1)]


def test_limits_are_left_out_and_filters_heeded():
    assert as_list(offered(9, low=1.0, high=4.0)) == [(1, 0, 3), (0, 1, 2), (1, 1, 2)]
    assert as_list(offered(2, allowed=lambda rows, columns: rows != columns)) == [(0, 2, 4), (2, 0, 4)]


def test_what_could_still_enter_is_at_least_the_last_of_a_full_list():
    assert offered(5).threshold == 3
    assert offered(5).may_hold(3.0)
    assert not offered(5).may_hold(2.9)
    assert offered(10).threshold == -inf
    assert not offered(1, high=-5.0).may_hold(4.0)


def test_what_cannot_enter_is_not_scored():
    end = offered(5)
    end.P = None  # whoever looked at it now would fail
    end.offer(torch.tensor([0]), torch.tensor([0]), torch.tensor([2.9], dtype=torch.float64))
    end.settle()
    assert len(end.values) == 5


@pytest.mark.parametrize("n", [1, 63, 200])
def test_an_entry_is_the_sum_of_its_products_in_their_order(n):
    random = lambda seed: torch.randn(n, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)  # noqa: E731
    P, Q = random(0), random(1)
    scored = entries(Tall.of(P), Tall.of(Q), torch.arange(n), torch.arange(n).flip(0))
    for row, value in enumerate(scored.tolist()):
        total = 0.0
        for p, q in zip(P[row].tolist(), Q[n - 1 - row].tolist(), strict=True):
            total += p * q
        assert value == total
