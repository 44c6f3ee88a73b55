import math

import pytest
import torch

from pipeline.circuits.chance.significance import of_counts, of_draws, of_few, of_moments


def test_p_of_draws_counts_those_at_least_as_large():
    draws = torch.arange(9.0)[:, None]
    chance = of_draws(torch.tensor([100.0, 7.0, 6.5, -1.0]), draws)
    assert chance.p.tolist() == pytest.approx([1 / 10, 3 / 10, 3 / 10, 1])
    assert chance.mean.tolist() == pytest.approx([4] * 4)
    deviation = math.sqrt(60 / 8)  # of 0 ... 8
    assert chance.sd.tolist() == pytest.approx([deviation] * 4)
    assert chance.z.tolist() == pytest.approx([(value - 4) / deviation for value in (100, 7, 6.5, -1)])
    assert chance.draws == 9


def test_rounding_decides_no_tie():
    assert of_draws(torch.tensor(0.1 + 0.2, dtype=torch.float64), torch.full((3,), 0.3).double()).p == 1
    same = of_draws(torch.tensor(5.0), torch.full((3,), 0.3))
    assert same.p == 1 / 4
    assert same.z.isnan()


def test_what_is_undefined_has_no_p_and_is_no_draw():
    draws = torch.tensor([[1.0, torch.nan], [2.0, torch.nan], [torch.nan, torch.nan]])
    chance = of_draws(torch.tensor([1.5, 1.5]), draws)
    assert chance.p[0] == pytest.approx(2 / 3)
    assert chance.p[1].isnan()
    assert chance.mean[1].isnan()
    assert of_draws(torch.tensor([torch.nan]), torch.zeros(4, 1)).p.isnan()


def test_few_values_are_compared_by_students_t():
    others = torch.tensor([[-1.0], [1.0]])  # mean 0, deviation sqrt(2), one degree of freedom
    # With one degree of freedom t is Cauchy's: P(t > 1) = 1/4.
    one = 1 * math.sqrt(2) * math.sqrt(1 + 1 / 2)
    chance = of_few(torch.tensor([0.0, one, -one]), others)
    assert chance.p.tolist() == pytest.approx([1 / 2, 1 / 4, 3 / 4])
    assert chance.z[1].item() == pytest.approx(math.sqrt(1.5))


def test_one_value_or_equal_ones_say_nothing():
    assert of_few(torch.tensor([3.0]), torch.zeros(1, 1)).p.isnan()
    assert of_few(torch.tensor([3.0]), torch.full((4, 1), 0.2)).p.isnan()


def test_p_of_a_new_value_from_the_same_normal_is_uniform():
    values = torch.randn(9, 20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = of_few(values[0], values[1:]).p
    for level in (0.5, 0.05, 0.003):
        assert (p <= level).double().mean().item() == pytest.approx(level, abs=5 * math.sqrt(level / 20000))


def test_known_moments_give_the_normal_tail():
    chance = of_moments(torch.tensor([1.0, 4.0]), torch.tensor(1.0), torch.tensor(2.0))
    assert chance.z.tolist() == pytest.approx([0, 1.5])
    assert chance.p.tolist() == pytest.approx([0.5, (1 - math.erf(1.5 / math.sqrt(2))) / 2])
    assert chance.draws is None
    assert of_moments(torch.tensor([1.0]), torch.tensor(1.0), torch.tensor(0.0)).p.isnan()


def test_counts_are_compared_with_their_exact_distribution():
    # Heads of two coins: 0, 1 or 2 with probability 1/4, 1/2, 1/4.
    chance = of_counts(torch.tensor([0.0, 0.5, 1.0, torch.nan]), torch.tensor([1, 0.75, 0.25]).double().expand(4, 3), 2)
    assert chance.p[:3].tolist() == pytest.approx([1, 0.75, 0.25])
    assert chance.p[3].isnan()
    assert chance.mean.tolist() == pytest.approx([0.5] * 4)
    assert chance.sd.tolist() == pytest.approx([math.sqrt(1 / 8)] * 4)
    beyond = of_counts(torch.tensor(1.0), torch.tensor([1, 0.1]).double(), 50)
    assert beyond.p.item() == pytest.approx(0.1)
