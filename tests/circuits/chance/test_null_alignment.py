import numpy as np
import torch

from pipeline.circuits.chance.null_alignment import rotations
from pipeline.circuits.chance.random_matrices import orthogonal
from pipeline.circuits.vocabulary.alignment import Circuits, compared_circuits, kernel

N_TOKENS, WIDTHS, RANK, DRAWS = 30, (6, 7), 3, 3000


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


ONE = Circuits(random(1, WIDTHS[0], RANK, seed=0), random(1, WIDTHS[0], RANK, seed=1))
OTHERS = Circuits(random(2, WIDTHS[1], RANK, seed=2), random(2, WIDTHS[1], RANK, seed=3))
# Embeddings with a mean, and both models' nearly the same: chance is not 0.
EMBEDDED = random(N_TOKENS, WIDTHS[0], seed=4) + 1
READ = kernel(EMBEDDED, torch.cat([EMBEDDED, EMBEDDED[:, :1]], 1))
WRITE = kernel(random(N_TOKENS, WIDTHS[0], seed=5), random(N_TOKENS, WIDTHS[1], seed=6))


def test_rotations_are_those_of_heads_turned_on_both_sides():
    ours = rotations(ONE, OTHERS, READ, WRITE, DRAWS, seeded(0))
    assert ours.shape == (DRAWS, 2)
    turns = [orthogonal(DRAWS, WIDTHS[1], seeded(seed)) for seed in (1, 2)]
    turned = Circuits(*(turn @ side[1] for turn, side in zip(turns, OTHERS, strict=True)))
    theirs = compared_circuits(ONE, turned, READ, WRITE).correlation[0]
    for power in (1, 2, 4):
        error = (2 * (theirs**power).var() / DRAWS).sqrt()
        assert ((ours[:, 1] ** power).mean() - (theirs**power).mean()).abs() < 5 * error


def test_of_rank_one_the_sizes_of_singular_values_do_not_matter():
    larger = Circuits(5 * OTHERS.A[..., :1], OTHERS.B[..., :1])
    of_one = Circuits(OTHERS.A[..., :1], OTHERS.B[..., :1])
    found = [rotations(ONE, each, READ, WRITE, 20, seeded(0)) for each in (of_one, larger)]
    np.testing.assert_allclose(*found)
