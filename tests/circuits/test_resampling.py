import pytest
import torch

from pipeline.circuits.resampling import derangement, interval, resampled_counts


def test_resamples_are_as_large_as_the_sample_and_follow_the_generator():
    first, second = (resampled_counts(6, 50, torch.Generator().manual_seed(seed)) for seed in (3, 3))
    assert torch.equal(first, second)
    assert (first.sum(1) == 6).all()
    assert first.min() == 0  # some sentence is left out of some resample
    assert not torch.equal(first, resampled_counts(6, 50, torch.Generator().manual_seed(4)))


def test_an_interval_is_the_middle_of_the_replicates_around_the_value():
    replicates = torch.arange(1001, dtype=torch.float64)  # mean 500, middle 95 % from 25 to 975
    low, high = interval(torch.tensor(7.0, dtype=torch.float64), replicates, 0.95)
    assert (low.item(), high.item()) == (7 - 475, 7 + 475)
    low, high = interval(torch.tensor(7.0, dtype=torch.float64), replicates, 0.5)
    assert (low.item(), high.item()) == (7 - 250, 7 + 250)


def test_an_interval_of_what_does_not_vary_is_its_value():
    value = torch.tensor([2.0, torch.nan], dtype=torch.float64)
    low, high = interval(value, value.expand(50, -1), 0.95)
    torch.testing.assert_close(low, value, equal_nan=True)
    torch.testing.assert_close(high, value, equal_nan=True)


def test_the_interval_of_a_mean_is_that_of_the_central_limit():
    scores = torch.randn(400, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    counts = resampled_counts(400, 4000, torch.Generator().manual_seed(0))
    low, high = interval(scores.mean(), (counts @ scores).squeeze(-1) / 400, 0.95)
    expected = 2 * 1.96 * scores.std(correction=0).item() / 20
    assert (high - low).item() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("n", [2, 3, 17, 50])
def test_a_derangement_leaves_none_its_own_and_takes_each_once(n):
    for seed in range(5):
        drawn = derangement(n, torch.Generator().manual_seed(seed))
        assert sorted(drawn.tolist()) == list(range(n))
        assert (drawn != torch.arange(n)).all()


def test_one_alone_stays_where_it_is():
    assert derangement(1, torch.Generator()).tolist() == [0]
