import math
from fractions import Fraction

import pytest
import torch

from pipeline.circuits.scores.copying import (
    diagonal_rank,
    diagonal_z,
    eigenvalue,
    olsson_chance,
    olsson_scores,
    spread,
    trace,
)
from pipeline.circuits.scores.grams import Grams


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("circuit", "expected"),
    [
        pytest.param(torch.eye(3), 1.0, id="identity copies"),
        pytest.param(-torch.eye(3), -1.0, id="minus identity suppresses"),
        pytest.param(torch.tensor([[0.0, -1.0], [1.0, 0.0]]), 0.0, id="a quarter turn, +i and -i, does neither"),
        pytest.param(torch.diag(torch.tensor([3.0, -1.0])), 0.5, id="(3 - 1) / (3 + 1)"),
    ],
)
def test_eigenvalue_score_of_a_known_circuit(circuit, expected):
    assert eigenvalue(Grams.of(circuit, torch.eye(len(circuit)))).item() == pytest.approx(expected)


def test_eigenvalue_score_is_that_of_the_dense_circuit():
    rows, columns = random(9, 3), random(9, 3, seed=1)
    z = torch.linalg.eigvals(rows @ columns.mT)
    assert eigenvalue(Grams.of(rows, columns)).item() == pytest.approx((z.sum().real / z.abs().sum()).item())


def test_diagonal_z_and_trace_are_those_of_the_dense_circuit():
    rows, columns = random(9, 3), random(9, 3, seed=1)
    circuit = rows @ columns.mT
    expected = (circuit.diagonal().mean() - circuit.mean()) / circuit.std(correction=0)
    torch.testing.assert_close(diagonal_z(Grams.of(rows, columns)), expected)
    torch.testing.assert_close(trace(Grams.of(rows, columns)), circuit.trace())


@pytest.mark.parametrize("gain", [0.1, 40.0])
def test_diagonal_z_of_a_multiple_of_the_identity(gain):
    assert diagonal_z(Grams.of(gain * torch.eye(17), torch.eye(17))).item() == pytest.approx(math.sqrt(17 - 1))


def test_what_is_zero_or_constant_has_no_score():
    nothing = Grams.of(torch.zeros(5, 2), torch.full((5, 2), 0.1))
    assert eigenvalue(nothing).isnan()
    assert diagonal_z(nothing).isnan()
    assert trace(nothing) == 0
    # Columns that the rows do not meet, as far as rounding tells.
    basis = torch.linalg.qr(random(9, 6)).Q
    assert eigenvalue(Grams.of(basis[:, :3] @ random(3, 3, seed=1), basis[:, 3:] @ random(3, 3, seed=2))).isnan()
    same = random(1, 3).expand(7, 3)  # a constant circuit whose variance rounding keeps from being zero
    assert diagonal_z(Grams.of(same, same)).isnan()


@pytest.mark.parametrize("constant", [0, 10**4, 10**6, 10**8])
def test_diagonal_z_beside_a_large_constant_is_that_of_exact_arithmetic(constant):
    """All entries are whole numbers, constant +- some, so that fractions are exact."""
    rows, columns = (random(12, 3, seed=seed).mul(3).round() for seed in (0, 1))
    rows, columns = (torch.cat([side, torch.ones(12, 1)], 1).double() for side in (rows, columns))
    rows[:, -1] = constant
    left, right = ([[Fraction(int(x)) for x in row] for row in side.tolist()] for side in (rows, columns))
    entries = [[sum(p * q for p, q in zip(row, column, strict=True)) for column in right] for row in left]
    mean = sum(map(sum, entries)) / 144
    variance = sum((entry - mean) ** 2 for row in entries for entry in row) / 144
    expected = float(sum(entries[n][n] for n in range(12)) / 12 - mean) / math.sqrt(variance)
    assert abs(expected) > 0.01
    assert diagonal_z(Grams.of(rows, columns)).item() == pytest.approx(expected, rel=1e-6)
    # What varies may also lie in one side alone, beside the other's constant.
    rows[:, :-1] = 0
    rows[:, -1] = constant + 1 + torch.arange(12)
    assert diagonal_z(Grams.of(rows, columns)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("score", [eigenvalue, diagonal_z, trace])
def test_scores_ignore_how_the_circuit_is_factored(score):
    rows, columns, gauge = random(9, 3), random(9, 3, seed=1), random(3, 3, seed=2)
    regauged = Grams.of(rows @ gauge, columns @ torch.linalg.inv(gauge).mT)
    torch.testing.assert_close(score(regauged), score(Grams.of(rows, columns)))


def test_many_circuits_are_scored_at_once():
    whole, heads = Grams.of(random(9, 4), random(9, 4, seed=1)), random(2, 5, 4, 3, seed=2)
    for score in (eigenvalue, diagonal_z, trace):
        apart = [score(whole.through(read, written)) for read, written in zip(*heads, strict=True)]
        torch.testing.assert_close(score(whole.through(*heads)), torch.stack(apart))


@pytest.mark.parametrize("tile", [1, 4, 100])
def test_rank_counts_the_others_that_reach_the_diagonal(tile):
    rows, columns = random(9, 2), random(9, 2, seed=1)
    circuit = rows @ columns.mT
    expected = [sum(bool(circuit[t, c] >= circuit[t, t]) for c in range(9) if c != t) for t in (0, 3, 8)]
    tokens = torch.tensor([0, 3, 8])
    assert diagonal_rank(rows[tokens], columns, tokens, tile, 9).tolist() == expected


def test_ties_count_against_the_token():
    every = torch.arange(6)
    assert diagonal_rank(torch.zeros(6, 2), torch.zeros(6, 2), every, 6, 9).tolist() == [5] * 6
    assert diagonal_rank(torch.eye(6), torch.eye(6), every, 6, 9).tolist() == [0] * 6


@pytest.mark.parametrize("most", [1, 3, 10])
def test_rank_counts_no_further_than_asked(most):
    rows, columns = random(400, 5), random(400, 5, seed=1) + 0.3 * random(400, 5)  # from copied to ranked by chance
    circuit = rows @ columns.mT
    whole = (circuit >= circuit.diagonal()[:, None]).sum(-1) - 1
    counted = diagonal_rank(rows, columns, torch.arange(400), 64, most)
    assert counted.tolist() == whole.clamp(max=most).tolist()
    assert 0 < (counted < most).sum() < 400
    copies = torch.ones(400, 1).float() / 3  # all entries are equal but for rounding: no diagonal is surpassed
    assert diagonal_rank(copies, copies, torch.arange(400), 64, most).tolist() == [most] * 400


def test_spread_takes_all_of_a_small_vocabulary_and_evenly_of_a_large_one():
    assert spread(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert spread(12, 4).tolist() == [0, 3, 6, 9]


LENGTH = 8
EYE = torch.eye(LENGTH)


def directions(d_vocab):
    """Of a stream that is the first of the vocabulary itself: the first LENGTH tokens are the sample."""
    W_U = torch.eye(LENGTH, d_vocab, dtype=torch.float64)
    return (W_U - W_U.mean(-1, keepdim=True)).mT[None, :LENGTH]


def olsson(pattern, output):
    """Of one head, with a stream that is the vocabulary itself."""
    return olsson_scores(pattern[None, None], output[None, None], directions(LENGTH)).item()


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        pytest.param(EYE, 1.0, id="raises the attended token alone"),
        pytest.param(-EYE, -1.0, id="raises all but the attended token"),
        pytest.param(EYE.roll(1, 1), -1.0, id="raises another token"),
        pytest.param(2 * EYE + 2 * EYE.roll(1, 1), 4 * (1 / 3) - 1, id="raises two alike: 1 / (1 + 2)"),
    ],
)
def test_olsson_score_of_a_head_that_attends_to_one_token(output, expected):
    assert olsson(EYE, output) == pytest.approx(expected)


def test_olsson_score_weighs_tokens_by_attention():
    pattern = 0.75 * EYE + 0.25 * EYE.roll(1, 1)
    assert olsson(pattern, EYE) == pytest.approx(4 * 0.75 / 1.75 - 1)
    # What attention to [BEGIN] takes from every query alike does not matter,
    assert olsson(0.1 * pattern, EYE) == pytest.approx(4 * 0.75 / 1.75 - 1)
    # and a query with no attention left for the sample does not count, whatever it raises.
    only_begin = torch.arange(LENGTH) == 2
    pattern[only_begin], output = 0, torch.where(only_begin[:, None], EYE.roll(3, 1), EYE)
    assert olsson(pattern, output) == pytest.approx(4 * 0.75 / 1.75 - 1)


def test_olsson_chance_is_the_score_of_raising_the_whole_sample_alike():
    larger = directions(3 * LENGTH)  # the vocabulary has more tokens than the sample, which stay down
    output = torch.ones(LENGTH, LENGTH)
    score = olsson_scores(EYE[None, None], output[None, None], larger)
    assert score.item() == pytest.approx(olsson_chance(LENGTH))


def test_a_head_that_raises_nothing_has_no_olsson_score():
    assert math.isnan(olsson(EYE, torch.zeros(LENGTH, LENGTH)))
