import math

import pytest
import torch

from pipeline.circuits.transformer.attention import capped, causal_mask, pattern, rotate, scores, turns


def test_scores_are_inner_products_over_the_root_of_d_head():
    query = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    key = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 2.0]])
    torch.testing.assert_close(scores(query, key), torch.tensor([[10.0, 8.0]]) / 2)


def test_a_query_sees_itself_and_what_came_before():
    assert causal_mask(3).tolist() == [[True, False, False], [True, True, False], [True, True, True]]


def test_equal_scores_share_attention_among_visible_keys():
    expected = torch.tensor([[1.0, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(pattern(torch.full((3, 3), 5.0)), expected)


def test_attention_follows_the_odds_of_scores_whatever_the_future_holds():
    rows = pattern(torch.tensor([[0.0, 99.0], [math.log(3.0), 0.0]]))
    torch.testing.assert_close(rows, torch.tensor([[1.0, 0.0], [0.75, 0.25]]))


@pytest.mark.parametrize(
    ("pairs", "turned"),
    [
        pytest.param("halves", [[3.0, 4, 5, 6, 9], [-5.0, -6, 3, 4, 9]], id="i with i + 2"),
        pytest.param("neighbours", [[3.0, 4, 5, 6, 9], [-4.0, 3, -6, 5, 9]], id="2 i with 2 i + 1"),
    ],
)
def test_a_quarter_turn_a_position_swaps_the_components_of_a_pair(pairs, turned):
    x = torch.tensor([[3.0, 4, 5, 6, 9]] * 2)  # the last component is not turned
    frequency = torch.full((2,), torch.pi / 2)
    torch.testing.assert_close(rotate(x, frequency, pairs), torch.tensor(turned))


@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
def test_rotated_scores_depend_on_distance_alone_and_keep_lengths(pairs):
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 6, generator=generator, dtype=torch.float64).expand(2, 9, 6)
    frequency = torch.tensor([1.0, 0.1], dtype=torch.float64)
    query, key = rotate(query, frequency, pairs), rotate(key, frequency, pairs)
    found = query @ key.mT
    for offset in range(-8, 9):
        diagonal = found.diagonal(offset)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
    torch.testing.assert_close(query.norm(dim=-1), query[:1].norm(dim=-1).expand(9))


def test_rotation_of_a_sum_is_the_sum_of_rotations():
    a, b = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    frequency = torch.tensor([0.7, 0.2, 0.05], dtype=torch.float64)
    whole = rotate(a + b, frequency, "halves")
    torch.testing.assert_close(rotate(a, frequency, "halves") + rotate(b, frequency, "halves"), whole)


def test_a_pattern_both_ways_sees_later_keys():
    found = pattern(torch.zeros(3, 3), "both_ways")
    torch.testing.assert_close(found, torch.full((3, 3), 1 / 3))


@pytest.mark.parametrize("pairs", ["halves", "neighbours"])
def test_a_turn_is_what_lies_between_two_rotations(pairs):
    query, key = torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64).expand(2, 7, 5)
    frequency = torch.tensor([0.9, 0.3], dtype=torch.float64)
    between = turns(frequency, pairs, 5, 7)
    found = rotate(query, frequency, pairs) @ rotate(key, frequency, pairs).mT
    for place in range(7):
        torch.testing.assert_close(found[place, 0], query[0] @ between[place] @ key[0])


def test_a_cap_bounds_scores_and_leaves_small_ones():
    scores = torch.tensor([-1e6, -1e-4, 0.0, 1e-4, 1e6])
    torch.testing.assert_close(capped(scores, 5.0), torch.tensor([-5, -1e-4, 0, 1e-4, 5]))
    assert capped(scores, None) is scores
    large = torch.tensor([[0.0, 0.0], [0.0, 1e6]])
    torch.testing.assert_close(pattern(capped(large, math.log(3)))[1], torch.tensor([0.25, 0.75]))
