import pytest
import torch
from factors_to_search import FACTORS, NOT_FORMED, random

from pipeline.circuits.vocabulary import tiles
from pipeline.circuits.vocabulary.integers import has_fast_integers, whole
from pipeline.circuits.vocabulary.token_filters import exclude_same
from pipeline.circuits.vocabulary.top_pairs import top_pairs


def by_brute_force(P, Q, keep=lambda row, column, value: True):
    """Every entry in plain floats, sorted by value, then row, then column."""
    scored = []
    for row, left in enumerate(P.tolist()):
        for column, right in enumerate(Q.tolist()):
            value = 0.0
            for p, q in zip(left, right, strict=True):
                value += p * q
            if keep(row, column, value):
                scored.append((row, column, value))
    return sorted(scored, key=lambda x: (-x[2], x[0], x[1])), sorted(scored, key=lambda x: (x[2], x[0], x[1]))


def as_list(pairs):
    return list(zip(pairs.rows.tolist(), pairs.columns.tolist(), pairs.values.tolist(), strict=True))


def equals_brute_force(P, Q, k, keep=lambda row, column, value: True, **options):
    found = top_pairs(P, Q, k, **options)
    top, bottom = by_brute_force(P, Q, keep)
    assert as_list(found.top) == top[:k]
    assert as_list(found.bottom) == bottom[:k]
    return found


CPU = torch.device("cpu")
PRECISIONS = [torch.float32, torch.bfloat16, *([torch.int8] if has_fast_integers(CPU) else [])]


@pytest.mark.parametrize("k", [1, 37])
@pytest.mark.parametrize("tile_bytes", [4 * 8**2, 2**21])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", FACTORS)
def test_lists_are_those_of_sorting_every_entry(name, precision, tile_bytes, k):
    found = equals_brute_force(*FACTORS[name], k, tile_bytes=tile_bytes, precision=precision)
    assert 0 <= found.entries_scored <= 70 * 50


@pytest.mark.parametrize("tile_bytes", [4 * 8**2, 2**21])
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", NOT_FORMED)
def test_factors_that_are_not_formed_list_what_their_float64_rows_list(name, precision, tile_bytes):
    P, Q = NOT_FORMED[name]
    found = top_pairs(P, Q, 37, tile_bytes=tile_bytes, precision=precision)
    top, bottom = by_brute_force(P.exact(torch.arange(len(P))), Q.exact(torch.arange(len(Q))))
    assert as_list(found.top) == top[:37]
    assert as_list(found.bottom) == bottom[:37]


@pytest.mark.parametrize("fewest", [0, 10**9])
def test_what_no_length_rules_out_is_scored_in_integers_if_it_is_much(fewest, monkeypatch):
    """Of random factors: planted pairs among them are found in order either way."""
    P, Q = random(700, 32), random(600, 32, seed=1)
    P[[5, 500, 699]], Q[[7, 450]] = 2 * random(3, 32, seed=2), 2 * random(2, 32, seed=3)
    P[600], Q[300] = 1.5 * P[5], 1.5 * P[5]
    asked = []
    monkeypatch.setattr(tiles, "FEWEST", fewest)
    monkeypatch.setattr(tiles, "whole", lambda rows: asked.append(rows) or whole(rows))
    found = top_pairs(P, Q, 40, tile_bytes=2 * 64**2)
    values, where = (P @ Q.T).flatten().sort(descending=True)
    assert found.top.rows.tolist() == (where[:40] // 600).tolist()
    assert found.top.columns.tolist() == (where[:40] % 600).tolist()
    assert found.bottom.rows.tolist() == (where[-40:] // 600).flip(0).tolist()
    torch.testing.assert_close(found.top.values, values[:40])
    assert (len(asked) > 10) == (fewest == 0 and has_fast_integers(CPU))


def test_integers_are_not_asked_of_a_processor_that_adds_them_up_with_errors(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(ValueError, match="precision = int8"):
        top_pairs(random(4, 2), random(3, 2), 1, precision=torch.int8)


def test_a_list_may_hold_every_pair():
    P, Q = random(9, 3), random(8, 3, seed=1)
    equals_brute_force(P, Q, 72, tile_bytes=100)


def test_masks_leave_only_their_rows_and_columns():
    P, Q = random(60, 4), random(40, 4, seed=1)
    rows, columns = random(60, seed=2) > 0, random(40, seed=3) > 0
    equals_brute_force(P, Q, 30, lambda row, column, _: rows[row] and columns[column], rows=rows, columns=columns)


def test_pair_filters_look_at_both_tokens():
    P = random(40, 4)
    names = [f"{'aA'[token % 2]}{token % 5}" for token in range(40)]  # few names, so that many pairs are equal
    keep = lambda row, column, _: names[row].lower() != names[column].lower()  # noqa: E731
    # A head that copies: the largest entries are those that the filter drops.
    equals_brute_force(P, P, 50, keep, allowed=exclude_same(names), tile_bytes=300)


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, float("inf")), (float("-inf"), 1.0), (0.5, 1.5), (-1.5, -0.5), (-1.0, 2.0)]
)
def test_limits_leave_the_entries_between_them(low, high):
    P, Q = random(60, 4), random(40, 4, seed=1)
    equals_brute_force(P, Q, 30, lambda *pair: low < pair[2] < high, low=low, high=high, tile_bytes=500)


def test_limits_are_exact_and_exclusive():
    P = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    found = top_pairs(P, torch.ones(1, 1, dtype=torch.float64), 3, low=1.0, high=3.0)
    assert as_list(found.top) == as_list(found.bottom) == [(1, 0, 2.0)]


def test_a_decaying_spectrum_leaves_most_entries_unscored():
    P, Q = (random(1000, 16, seed=seed) * 0.5 ** torch.arange(16) for seed in (0, 1))
    found = top_pairs(P, Q, 20, tile_bytes=2**16)
    values, where = (P @ Q.T).flatten().sort(descending=True)
    assert found.top.rows.tolist() == (where[:20] // 1000).tolist()
    assert found.bottom.columns.tolist() == (where[-20:] % 1000).flip(0).tolist()
    torch.testing.assert_close(found.top.values, values[:20])
    assert found.entries_scored < 1000**2 / 4


def test_the_order_of_tokens_does_not_matter():
    P, Q = random(300, 5), random(200, 5, seed=1)
    shuffle = torch.randperm(300, generator=torch.Generator().manual_seed(2))
    straight, shuffled = top_pairs(P, Q, 25), top_pairs(P[shuffle], Q, 25)
    assert torch.equal(straight.top.rows, shuffle[shuffled.top.rows])
    assert torch.equal(straight.top.values, shuffled.top.values)


def test_bottom_is_the_top_of_the_negative():
    P, Q = random(100, 5), random(80, 5, seed=1)
    plain, negative = top_pairs(P, Q, 25), top_pairs(-P, Q, 25)
    assert torch.equal(plain.bottom.values, -negative.top.values)
    assert torch.equal(plain.bottom.rows, negative.top.rows)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_score_rounded_either_way_is_still_found(precision):
    # One component each: the product is all in the rounding of the operands and of the result.
    P, Q = 1 + random(40, 1).abs() / 100, 1 + random(40, 1, seed=1).abs() / 100
    for signs in (P, -P):
        equals_brute_force(signs, Q, 25, precision=precision, tile_bytes=200)


@pytest.mark.parametrize("gap", [2.0**-10, 2.0**-20, 2.0**-40, 2.0**-51])
def test_near_ties_are_told_apart(gap):
    # All entries round to one bfloat16, from the second gap on to one float32.
    P, Q = 1 + gap * (random(60, 1) > 0), 1 + gap * (random(50, 1, seed=1) > 0)
    for precision in PRECISIONS:
        equals_brute_force(P.double(), Q.double(), 30, precision=precision, tile_bytes=400)


@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_a_circuit_of_zeros_lists_the_first_pairs_without_scoring(side):
    zeros, full = torch.zeros(20_000, 4, dtype=torch.float64), random(20_000, 4)
    found = top_pairs(full if side == "right" else zeros, full if side == "left" else zeros, 70)
    for pairs in (found.top, found.bottom):
        assert as_list(pairs) == [(0, column, 0.0) for column in range(70)]
    assert found.entries_scored == 0


def test_a_circuit_of_equal_entries_scores_few():
    ones = torch.ones(20_000, 4, dtype=torch.float64)
    found = top_pairs(ones, ones, 70)
    assert as_list(found.top) == as_list(found.bottom) == [(0, column, 4.0) for column in range(70)]
    assert found.entries_scored <= 70**2


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("k", [50, 420])  # the second list reaches the zeros
def test_zeros_among_others_are_listed_in_order(sign, k):
    rows = (torch.arange(30) % 3 != 0)[:, None]  # of 30 x 25 entries, 10 x 25 + 20 x 5 are 0
    columns = (torch.arange(25) % 5 != 0)[:, None]
    P, Q = sign * random(30, 3).abs() * rows, random(25, 3, seed=1).abs() * columns
    equals_brute_force(P, Q, k)
    odd = lambda row, column: row % 2 != column % 2  # noqa: E731
    equals_brute_force(P, Q, min(k, 370), lambda row, column, _: odd(row, column), allowed=odd)


def test_equal_rows_are_left_out_only_where_they_cannot_matter():
    P, Q = random(4, 3).repeat(30, 1), random(3, 3, seed=1).repeat(40, 1)
    for k in (1, 5, 200):
        equals_brute_force(P, Q, k)
    keep = lambda row, column: row > 80  # noqa: E731
    equals_brute_force(P, Q, 20, lambda row, column, _: keep(row, column), allowed=keep)
    equals_brute_force(P, Q, 20, lambda row, column, _: row > 80, rows=torch.arange(120) > 80)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k = 0"),
        ({"k": 13}, "only 12 pairs"),
        ({"rows": torch.tensor([True, False, False, False]), "k": 4}, "only 3 pairs"),
        ({"rows": torch.zeros(4, dtype=torch.bool)}, "none of the 4 row tokens"),
        ({"columns": torch.ones(4, dtype=torch.bool)}, "give 3 booleans"),
        ({"allowed": lambda rows, columns: rows != columns, "k": 10}, "only 9 pairs"),
        ({"allowed": lambda rows, columns: rows < 0}, "only 0 pairs"),
        ({"P": torch.full((4, 2), torch.nan, dtype=torch.float64)}, "NaN"),
        ({"P": torch.zeros(4, 2)}, "float64"),
        ({"P": torch.zeros(4, 3, dtype=torch.float64)}, "no product"),
    ],
)
def test_mistakes_are_named_in_one_line(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        top_pairs(**{"P": random(4, 2), "Q": random(3, 2), "k": 1} | change)
    assert "\n" not in str(caught.value)
