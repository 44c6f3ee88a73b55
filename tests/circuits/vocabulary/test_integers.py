import pytest
import torch
from factors_to_search import random

from pipeline.circuits.vocabulary.integers import has_fast_integers, whole

CPU = torch.device("cpu")
ROWS = {
    "random": random(50, 7),
    "one direction": random(50, 7) * torch.eye(7, dtype=torch.float64)[0],
    "one giant row": random(50, 7) * torch.where(torch.arange(50) == 3, 1e9, 1.0)[:, None],
    "tiny": random(50, 7) * 1e-30,
    "whole already": (random(50, 7) * 100).clamp(-127, 127).round(),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ROWS)
def test_rows_are_as_near_as_is_said(name, dtype):
    rows = ROWS[name].to(dtype)
    made = whole(rows)
    off = (rows.double() - made.step * made.integers[:, :7].double()).norm(dim=1)
    assert off.max() <= made.off
    assert made.integers.abs().max() == 127


def test_what_is_whole_stays_as_it_is():
    rows = ROWS["whole already"].clone()
    rows[0, 0] = 127
    made = whole(rows)
    assert (made.step, made.off) == (1, 0)
    assert torch.equal(made.integers[:, :7].double(), rows)
    assert not made.integers[:, 7:].any()


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5, 30, 64, 65] if has_fast_integers(CPU) else [])
@pytest.mark.parametrize(("n_rows", "n_columns"), [(1, 1), (2, 7), (28, 7), (64, 17), (512, 128)])
def test_products_are_added_up_without_error(rank, n_rows, n_columns):
    left, right = (whole(random(n, rank, seed=n)).integers for n in (n_rows, n_columns))
    assert torch.equal(torch._int_mm(left, right.T).double(), left.double() @ right.double().T)
