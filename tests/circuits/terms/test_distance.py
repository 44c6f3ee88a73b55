import pytest
import torch

from pipeline.circuits.terms.distance import by_distance, distance_share
from pipeline.circuits.terms.term_statistics import Entries, HeadScores
from pipeline.circuits.transformer.attention import rotate, scores

BATCH, N = 40, 12


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def share(maps):
    once = torch.ones(1, len(maps) // 2, dtype=torch.float64)
    return distance_share(HeadScores(maps, torch.zeros(maps.shape[:2], dtype=torch.long)), once).item()


def of_distance(length=N, seed=0):
    """Scores of distance alone, at random."""
    offset = (torch.arange(length)[:, None] - torch.arange(length)).clamp(min=0)
    return random(length, seed=seed)[offset]


def test_a_rotary_head_that_reads_the_same_everywhere_goes_by_distance_alone():
    query, key = (vector.expand(BATCH, N, -1) for vector in random(2, 8, seed=1))
    frequency = torch.tensor([1.0, 0.3, 0.1, 0.03], dtype=torch.float64)
    turned = (rotate(x, frequency, "halves") for x in (query, key))
    assert share(scores(*turned)) == pytest.approx(1, abs=1e-12)


def test_a_head_of_positions_that_looks_back_by_an_offset_goes_by_distance_alone():
    """Though its rows' means depend on the place: early queries have no such key."""
    for back in (0, 1, 5):
        assert share(9.0 * torch.ones(N - back).double().diag(-back).expand(BATCH, -1, -1)) == pytest.approx(1)


def test_what_a_row_shares_is_not_the_distance():
    maps = of_distance() + 50 * random(BATCH, N, 1, seed=2)
    assert share(maps) == pytest.approx(1)


def test_a_head_that_matches_tokens_at_random_distances_does_not_go_by_distance():
    """Each key holds the token before it, so that a query finds its own token nowhere for certain."""
    tokens = torch.randint(3, (400, N + 1), generator=torch.Generator().manual_seed(3))
    assert abs(share((tokens[:, 1:, None] == tokens[:, None, :-1]).double())) < 0.01


def test_of_two_parts_distance_explains_its_own_share():
    noise, entries = random(2000, N, N, seed=4), Entries(N)
    squares = [entries.row_centred(entries.of(part)).square().mean() for part in (of_distance(), noise)]
    assert share(of_distance() + noise) == pytest.approx((squares[0] / sum(squares)).item(), abs=0.01)


def test_what_is_fitted_to_some_sentences_is_judged_on_others():
    maps = of_distance().repeat(BATCH, 1, 1)
    maps[1::2] *= -1
    assert share(maps) == pytest.approx(-1)
    few = torch.tensor([share(random(4, N, N, seed=seed)) for seed in range(200)])
    assert abs(few.mean()) < 3 * few.std() / len(few) ** 0.5
    assert (few < 0).any()


def test_one_sentence_is_judged_by_none():
    assert torch.tensor(share(of_distance()[None])).isnan()


def test_sentences_that_judge_count_as_often_as_they_come():
    maps = of_distance() + random(6, N, N)
    found = distance_share(
        HeadScores(maps, torch.zeros(6, N, dtype=torch.long)), torch.tensor([[0.0, 2, 1]], dtype=torch.float64)
    )
    chosen = maps[[0, 3, 2, 3, 4, 5]]
    assert found.item() == pytest.approx(share(chosen))


@pytest.mark.parametrize("length", [2, 7])
def test_the_function_of_distance_is_that_of_least_squares(length):
    entries = Entries(length)
    values = entries.row_centred(random(len(entries)))
    at = (entries.offset[:, None] == torch.arange(length)).double()
    design = torch.stack([entries.row_centred(column) for column in at.mT], -1)
    expected = design @ torch.linalg.pinv(design) @ values
    torch.testing.assert_close(design @ by_distance(values, entries), expected)
