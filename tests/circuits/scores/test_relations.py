import itertools

import pytest
import torch

from pipeline.circuits.scores.relations import hits, permuted, share

D_VOCAB = 12
SOURCES = torch.tensor([1, 2, 3, 4])
TARGETS = torch.tensor([5, 6, 7, 8])


def circuit(dense):
    return dense, torch.eye(D_VOCAB)


def wired(known):
    """A head that takes each source to its target, as far as it is known."""
    dense = torch.zeros(D_VOCAB, D_VOCAB)
    dense[SOURCES[:known], TARGETS[:known]] = 1.0
    return circuit(dense)


def asked(factors):
    """The rows of the sources alone."""
    return factors[0][SOURCES], factors[1]


@pytest.mark.parametrize("known", [0, 1, 4])
def test_a_head_is_scored_by_the_pairs_that_it_knows(known):
    assert share(hits(asked(wired(known)), TARGETS, 1), fewest=2).item() == known / 4


def test_a_target_is_a_hit_if_fewer_than_so_many_others_reach_it():
    dense = torch.randint(6, (D_VOCAB, D_VOCAB), generator=torch.Generator().manual_seed(0)).float()
    for most in (1, 3, D_VOCAB - 1):
        found = hits(asked(circuit(dense)), TARGETS, most)
        for (row, source), (column, target) in itertools.product(enumerate(SOURCES), enumerate(TARGETS)):
            others = sum(bool(dense[source, other] >= dense[source, target]) for other in range(D_VOCAB)) - 1
            assert found[row, column] == (others < most)


def test_of_too_few_pairs_there_is_no_share():
    found = hits(asked(wired(4)), TARGETS, 1)
    assert share(found, fewest=5).isnan()
    assert share(found[:0, :0], fewest=1).isnan()
    assert permuted(found, 5, 3, torch.Generator()).isnan().all()


def test_chance_is_what_targets_give_that_change_places():
    """Of four pairs in a permutation, one on average is a pair still; of a head that knows all, so many are hits."""
    generator = torch.Generator().manual_seed(1)
    draws = permuted(hits(asked(wired(4)), TARGETS, 1), 2, 4000, generator)
    assert draws.shape == (4000,)
    assert draws.mean().item() == pytest.approx(1 / 4, abs=0.02)
    assert (draws == 1).double().mean().item() == pytest.approx(1 / 24, abs=0.02)
    # One that raises all targets for every source has no relation: no order changes it.
    dense = torch.zeros(D_VOCAB, D_VOCAB)
    dense[:, TARGETS] = torch.tensor([4.0, 3.0, 2.0, 1.0])
    favours = hits(asked(circuit(dense)), TARGETS, 4)
    assert (permuted(favours, 2, 50, generator) == share(favours, 2)).all()
