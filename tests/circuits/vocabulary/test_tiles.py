from math import inf

import pytest
import torch
from factors_to_search import random

from pipeline.circuits.vocabulary.balance import balance
from pipeline.circuits.vocabulary.integers import has_fast_integers
from pipeline.circuits.vocabulary.pair_list import PairList
from pipeline.circuits.vocabulary.tall import Tall
from pipeline.circuits.vocabulary.tiles import tiles

P, Q = random(300, 4), random(200, 4, seed=1)


def searched(side, threshold=-inf, integers=False):
    """The tiles, copied, of a search whose lists take values of at least the threshold."""
    tall_P, tall_Q = Tall.of(P), Tall.of(Q)
    balanced = balance(tall_P, tall_Q, torch.arange(300), torch.arange(200), torch.float32)
    ends = [PairList(tall_P, tall_Q, 10, sign, threshold, inf, None) for sign in (1, -1)]
    return [(tile, tile.scores.clone()) for tile in tiles(balanced, *ends, side, integers)]


@pytest.mark.parametrize("integers", [False, True] if has_fast_integers(P.device) else [False])
@pytest.mark.parametrize("side", [1, 64, 1000])
def test_each_entry_is_scored_once_and_right_up_to_the_error(side, integers):
    times = torch.zeros(300, 200)
    for tile, scores in searched(side, integers=integers):
        times[tile.rows[:, None], tile.columns] += 1
        exact = P[tile.rows] @ Q[tile.columns].T
        assert (tile.scale * scores.double() - exact).abs().max() <= tile.error
        assert scores.shape[0] <= 2 * side
        assert scores.shape[1] <= max(side // 2, 1)
    assert (times == 1).all()


def test_tiles_that_could_hold_nothing_are_not_scored():
    exact = (P @ Q.T).abs()
    threshold = float(exact.flatten().topk(50).values[-1])
    scored = torch.zeros(300, 200, dtype=torch.bool)
    for tile, _ in searched(16, threshold):
        scored[tile.rows[:, None], tile.columns] = True
    assert scored[exact >= threshold].all()
    assert scored.double().mean() < 0.5
    assert searched(16, threshold=1e9) == []
