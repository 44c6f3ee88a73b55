import pytest
import torch

from pipeline.circuits.scores import grams
from pipeline.circuits.scores.grams import Grams

SIZE, RANK = 9, 3


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


LEFT, RIGHT = random(SIZE, RANK) + 0.5, random(SIZE, RANK, seed=1) - 0.3
HEADS = random(2, 4, RANK, 2, seed=2)


def assert_products_of(circuit, rows, columns):
    """Whatever the factors, products and means of them on the side of their rank."""
    left, right = (side - side.mean(-2, keepdim=True) for side in (rows, columns))
    expected = {
        "cross": right.mT @ left,
        "whole_cross": columns.mT @ rows,
        "rows": left.mT @ left,
        "columns": right.mT @ right,
        "row_mean": rows.mean(-2),
        "column_mean": columns.mean(-2),
        "deviation": (rows @ columns.mT).flatten(-2).std(-1, correction=0),
    }
    for name, product in expected.items():
        torch.testing.assert_close(getattr(circuit, name).expand_as(product), product)
    assert circuit.size == SIZE


def test_products_are_those_of_the_factors():
    assert_products_of(Grams.of(LEFT, RIGHT), LEFT, RIGHT)


@pytest.mark.parametrize("portion", [1, 4, SIZE])
def test_portions_bound_memory_and_change_nothing(monkeypatch, portion):
    monkeypatch.setattr(grams, "PORTION", portion)
    assert_products_of(Grams.of(LEFT, RIGHT), LEFT, RIGHT)


def test_heads_stand_between_both_sides():
    read, written = HEADS
    assert_products_of(Grams.of(LEFT, RIGHT).through(read, written), LEFT @ read, RIGHT @ written)
    assert_products_of(Grams.of(LEFT, RIGHT).through(read[0], written[0]), LEFT @ read[0], RIGHT @ written[0])


def test_turns_stand_in_the_middle():
    turns = random(5, RANK, RANK, seed=3)
    assert_products_of(Grams.of(LEFT, RIGHT).turned(turns), LEFT @ turns, RIGHT.expand(5, -1, -1))


def test_single_precision_is_summed_in_double():
    assert_products_of(Grams.of(LEFT.float(), RIGHT.float()), LEFT.float().double(), RIGHT.float().double())
