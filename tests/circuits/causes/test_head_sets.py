import itertools

import pytest
import torch
from hand_wired import induction_network, tokens
from torch.testing import assert_close

from pipeline.circuits.causes.head_sets import area_under, lengths, matched_sets, output_products
from pipeline.circuits.transformer.forward import forward


def generator():
    return torch.Generator().manual_seed(0)


def products(*lengths_of_layers):
    """Of heads that write orthogonal vectors of these lengths."""
    return torch.stack([torch.tensor(of_heads, dtype=torch.float64).square().diag() for of_heads in lengths_of_layers])


def test_lengths_are_those_of_the_sum_of_what_heads_write():
    weights, sequences = induction_network(copies=2), tokens()
    found = output_products(weights, sequences, at_once=2)
    outputs = torch.einsum("blhpd,lhdm->blhpm", forward(weights, sequences).z, weights.W_O)
    for heads in itertools.chain.from_iterable(
        itertools.combinations([(0, 0), (1, 0), (1, 1), (1, 2)], n) for n in (1, 2, 3)
    ):
        for layer in (0, 1):
            together = sum(
                (outputs[:, at, head] for at, head in heads if at == layer), torch.zeros_like(outputs[:, 0, 0])
            )
            assert_close(lengths(found, heads)[layer], together.square().sum(-1).mean().sqrt())
    # Copies write the same: two are twice as long, not the root of 2.
    assert_close(lengths(found, ((1, 0), (1, 1))), 2 * lengths(found, ((1, 0),)))


def test_sets_beside_a_set_are_others_of_the_same_layers():
    found = matched_sets(((0, 1), (1, 0), (1, 2)), products([1] * 5, [1] * 5), 100, 400, generator())
    assert len(set(found)) == 4 * 3  # of layer 0 one of four others; of layer 1 two of three others
    for heads in found:
        assert [layer for layer, _ in heads] == [0, 1, 1]
        assert not set(heads) & {(0, 1), (1, 0), (1, 2)}


def test_those_that_write_about_as_much_are_kept():
    found = matched_sets(((0, 0),), products([2.0, 1.0, 1.9, 3.0, 2.2]), 2, 100, generator())
    assert found == [((0, 2),), ((0, 4),)]


def test_where_too_few_others_are_left_some_of_the_set_s_own_fill_up():
    found = matched_sets(((0, 0), (0, 1), (0, 2)), products([1.0] * 4), 100, 100, generator())
    assert {frozenset(heads) for heads in found} == {
        frozenset({(0, 3), *own}) for own in itertools.combinations([(0, 0), (0, 1), (0, 2)], 2)
    }


def test_a_whole_layer_has_nothing_beside_it():
    assert matched_sets(((0, 1), (0, 0)), products([1.0, 1.0]), 4, 10, generator()) == []


def test_equal_generators_draw_equal_sets():
    drawn = [matched_sets(((0, 0), (0, 1)), products([1.0] * 9), 4, 8, generator()) for _ in range(2)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("sizes", "shares", "area"),
    [
        ([1, 2, 3, 4, 6, 8], [1.0] * 6, 1.0),  # one head is all there is
        ([1, 2, 3, 4, 6, 8], [0.0] * 5 + [1.0], 1 / 7),
        ([1, 2, 3, 4, 6, 8], [0.0, 0.0, 1.0, 1.0, 1.0, 1.0], 5.5 / 7),  # three that are redundant
        ([1, 3, 5], [0.2, 0.6, 1.0], 0.6),  # in proportion
        ([2], [0.3], 0.3),
    ],
)
def test_areas(sizes, shares, area):
    assert area_under(sizes, torch.tensor([shares, shares], dtype=torch.float64)).tolist() == pytest.approx([area] * 2)
