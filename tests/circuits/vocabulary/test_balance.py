import pytest
import torch
from factors_to_search import FACTORS, NOT_FORMED, random

from pipeline.circuits.vocabulary.balance import balance
from pipeline.circuits.vocabulary.pair_list import entries
from pipeline.circuits.vocabulary.tall import Tall

PRECISIONS = [torch.float32, torch.bfloat16]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", FACTORS)
def test_the_proven_error_covers_the_real_one(name, precision):
    P, Q = FACTORS[name]
    the_proven_error_covers_the_real_one(Tall.of(P), Tall.of(Q), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NOT_FORMED)
def test_the_proven_error_covers_that_of_forming_rows_in_float32(name, precision):
    the_proven_error_covers_the_real_one(*NOT_FORMED[name], precision)


def the_proven_error_covers_the_real_one(P, Q, precision):
    balanced = balance(P, Q, torch.arange(len(P)), torch.arange(len(Q)), precision)
    left, right = balanced.left, balanced.right
    rows, columns = (grid.flatten() for grid in torch.meshgrid(left.ids, right.ids, indexing="ij"))
    exact = entries(P, Q, rows, columns).unflatten(0, (len(left.ids), len(right.ids)))
    product = balanced.scale * left.lengths[:, None] * right.lengths
    forming = balanced.scale * (left.errors[:, None] * right.lengths + left.lengths[:, None] * right.errors)
    stored = (left.rows @ right.rows.T).double()
    error = (balanced.scale * stored - exact).abs()
    rounding = 2 * balanced.output * balanced.scale * stored.abs()
    assert (error <= balanced.relative * product + forming + balanced.slack + rounding).all()
    assert (exact.abs() <= product + balanced.slack).all()
    assert not P.exact(left.zeros).any()
    assert len(left.ids) + len(left.zeros) == len(P)


def test_rows_come_longest_first_and_those_of_zeros_apart():
    P = torch.tensor([[1.0], [0.0], [-4.0], [2.0], [0.0]], dtype=torch.float64)
    ones = torch.ones(3, 1, dtype=torch.float64)
    balanced = balance(Tall.of(P), Tall.of(ones), torch.arange(5), torch.arange(3), torch.float32)
    assert balanced.left.ids.tolist() == [2, 3, 0]
    assert balanced.left.zeros.tolist() == [1, 4]
    assert balanced.right.ids.tolist() == [0, 1, 2]
    chosen = balance(Tall.of(P), Tall.of(ones), torch.tensor([0, 1, 3]), torch.arange(3), torch.float32)
    assert chosen.left.ids.tolist() == [3, 0]
    assert chosen.left.zeros.tolist() == [1]


def test_a_map_to_nothing_makes_every_row_zero():
    nothing = Tall(Tall.of(random(6, 3)).rows, torch.zeros(3, 2, dtype=torch.float64))
    balanced = balance(nothing, Tall.of(random(4, 2)), torch.arange(6), torch.arange(4), torch.float32)
    assert sorted(balanced.left.zeros.tolist()) == list(range(6))
    assert not len(balanced.left.ids)


def test_no_more_equal_rows_are_kept_than_could_be_listed():
    P = torch.tensor([[2.0], [1.0], [2.0], [2.0], [1.0]], dtype=torch.float64)
    balanced = balance(Tall.of(P), Tall.of(P), torch.arange(5), torch.arange(5), torch.float32, most=2)
    assert balanced.left.ids.tolist() == [0, 2, 1, 4]
