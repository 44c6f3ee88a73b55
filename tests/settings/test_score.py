import pytest
import torch

from pipeline.circuits.chance.significance import of_draws


@pytest.mark.parametrize("name", ["draws", "ranked_draws"])
def test_the_fewest_draws_are_the_fewest_that_can_be_significant(accepted, refusal, name):
    """A value beyond all of n draws has p = 1 / (n + 1): 1/21 lies below 0.05, 1/20 does not."""
    assert getattr(accepted("score", **{name: 20}), name) == 20
    assert refusal("score", **{name: 18}).startswith(f"score.{name}=18: input should be greater than or equal to 20")
    p = {n: of_draws(torch.ones(1), torch.arange(n)[:, None] / n - 1).p.item() for n in (19, 20)}
    assert p == {19: pytest.approx(1 / 20), 20: pytest.approx(1 / 21)}


@pytest.mark.parametrize(("name", "odd"), [("draws", 21), ("pair_draws", 3)])
def test_draws_come_in_twos(refusal, name, odd):
    assert refusal("score", **{name: odd}).startswith(f"score.{name}={odd}: input should be a multiple of 2")


def test_pairs_of_layers_go_up(refusal):
    assert "[2, 1] is no layer and a later one" in refusal("score", layer_pairs=[[0, 1], [2, 1]])
