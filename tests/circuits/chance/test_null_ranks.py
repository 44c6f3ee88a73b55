from itertools import permutations

import pytest
import torch
from scipy import stats

from pipeline.circuits.chance import null_ranks
from pipeline.circuits.chance.random_matrices import gaussian
from pipeline.circuits.scores.positional import recall

D_VOCAB = 7


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("tile", [2, 100])
def test_largest_entry_of_chosen_rows(tile):
    rows, columns, tokens = random(D_VOCAB, 2), random(D_VOCAB, 2, seed=1), torch.tensor([5, 0, 2])
    circuit = (rows @ columns.mT).tolist()
    expected = [max(range(D_VOCAB), key=lambda c, t=t: circuit[t][c]) for t in tokens.tolist()]
    assert null_ranks.largest(rows, columns, tokens, tile).tolist() == expected


@pytest.mark.parametrize("rows", [3, 6])
def test_relabelled_tokens_over_every_order(rows):
    found = torch.randint(6, (5, rows), generator=seeded())
    found[0], found[1] = torch.arange(rows), 2  # a circuit that copies, and one with the same column everywhere
    orders = torch.tensor(list(permutations(range(6))))[:, None, :rows]
    matches = (orders == found).sum(-1)
    expected = torch.stack([(matches >= k).double().mean(0) for k in range(7)], -1)
    torch.testing.assert_close(null_ranks.relabelled(found, 6), expected)


def test_relabelled_tokens_of_a_large_vocabulary_match_as_poissons_do():
    found = null_ranks.relabelled(torch.arange(2000), 2000)
    expected = torch.from_numpy(stats.poisson.sf(torch.arange(31) - 1, 1))
    torch.testing.assert_close(found, expected, rtol=0.2, atol=0)


def test_gaussian_heads_are_ranked_as_dense_circuits():
    W_E, W_U, tokens = random(D_VOCAB, 5), random(5, D_VOCAB, seed=1), torch.tensor([4, 1])
    found = null_ranks.gaussians(W_E, W_U, 2, tokens, 1, 9, 3, seeded())
    generator = seeded()
    for rank in found:
        W_V, W_O = gaussian(2, 5, 2, generator=generator)
        circuit = W_E @ W_V @ W_O.mT @ W_U
        assert rank.tolist() == [(circuit[token] > circuit[token, token]).sum().item() for token in (4, 1)]


def test_gaussian_recalls_are_those_of_dense_circuits_of_positions():
    W_pos = random(70, 5)
    measures = {"recall": (recall, None), "recall_64": (recall, 64)}
    drawn = null_ranks.gaussian_positions(W_pos, 2, measures, 3, seeded())
    generator = seeded()
    for draw in range(3):
        W_Q, W_K = gaussian(2, 5, 2, generator=generator)
        circuit = W_pos @ W_Q @ W_K.mT @ W_pos.mT
        for definition, n in (("recall", 70), ("recall_64", 64)):
            hits = sum(max(range(n - 1), key=lambda k, q=q: circuit[q, k]) == q - 1 for q in range(1, n))
            assert drawn[definition][draw].item() == pytest.approx(hits / (n - 1))
