import math
from itertools import permutations

import pytest
import torch

from pipeline.circuits.causes.shapley import exact_shares, sampled_shares


def worths(game, players):
    """What each coalition is worth, by its bits."""
    return torch.stack([game([p for p in range(players) if c >> p & 1]) for c in range(2**players)])


def walking(game):
    return lambda order: torch.stack([game(order[:n].tolist()) for n in range(len(order) + 1)])


TERMS = torch.tensor([[1.0, 5.0], [-2.0, 0.0], [4.0, 0.25], [0.5, 1.0]], dtype=torch.float64)


def additive(coalition):
    return 7 + TERMS[coalition].sum(0)


def gloves(coalition):
    """Player 0 holds a left glove, 1 and 2 a right one each; a pair is worth 1."""
    return torch.tensor([float(0 in coalition and bool({1, 2} & set(coalition)))], dtype=torch.float64)


def saturating(coalition):
    return torch.tensor([1 - math.exp(-sum(coalition))], dtype=torch.float64)


def test_shares_of_an_additive_game_are_its_terms():
    torch.testing.assert_close(exact_shares(worths(additive, 4)), TERMS)
    shares, half_width = sampled_shares(walking(additive), 4, 2, 0.95, torch.Generator().manual_seed(0))
    torch.testing.assert_close(shares, TERMS)
    torch.testing.assert_close(half_width, torch.zeros_like(TERMS))


def test_the_glove_game():
    # The holder of the left glove comes second or third in 4 of 6 orders; each other needs to be just in time.
    expected = torch.tensor([[4 / 6], [1 / 6], [1 / 6]], dtype=torch.float64)
    torch.testing.assert_close(exact_shares(worths(gloves, 3)), expected)


@pytest.mark.parametrize("game", [additive, gloves, saturating])
def test_exact_shares_are_the_mean_over_all_orders(game):
    players = 4
    added = []
    for order in permutations(range(players)):
        before = {player: list(order[:place]) for place, player in enumerate(order)}
        added.append(torch.stack([game([*before[p], p]) - game(before[p]) for p in range(players)]))
    torch.testing.assert_close(exact_shares(worths(game, players)), torch.stack(added).mean(0))


def test_sampled_shares_sum_to_the_gain_and_lie_within_their_interval():
    players = 6
    exact = exact_shares(worths(saturating, players))
    shares, half_width = sampled_shares(walking(saturating), players, 40, 0.95, torch.Generator().manual_seed(1))
    gain = saturating(list(range(players))) - saturating([])
    torch.testing.assert_close(shares.sum(0), gain)
    # Twice the width of a 95 % interval: none of five players beyond it but by a rare accident.
    assert ((shares - exact).abs() <= 2 * half_width + 1e-12).all()


def test_a_player_that_never_matters_gets_nothing():
    shares, half_width = sampled_shares(walking(saturating), 3, 5, 0.95, torch.Generator().manual_seed(2))
    assert shares[0].item() == pytest.approx(0)  # player 0 adds exp(0)
    assert half_width[0].item() == pytest.approx(0)


def test_the_generator_decides_the_sample():
    first, again, other = (
        sampled_shares(walking(saturating), 5, 3, 0.95, torch.Generator().manual_seed(seed))[0] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_intervals_are_as_sure_as_asked():
    """Of Student's t with two degrees of freedom, 95 % lie within 4.303, and half within 0.8165."""
    sure, half = (
        sampled_shares(walking(saturating), 5, 3, confidence, torch.Generator().manual_seed(1))[1]
        for confidence in (0.95, 0.5)
    )
    assert (sure[1:] > 0).all()  # player 0 adds nothing, ever
    torch.testing.assert_close(half, sure * 0.81650 / 4.30265, atol=0, rtol=1e-4)
