from itertools import permutations as orders

import pytest
import torch
from torch.nn import functional

from pipeline.circuits.chance import null_circuits
from pipeline.circuits.chance.null_circuits import balanced
from pipeline.circuits.chance.random_matrices import orthogonal
from pipeline.circuits.scores import copying
from pipeline.circuits.scores.grams import Grams

D_VOCAB, D_MODEL, D_HEAD, DRAWS = 14, 8, 3, 4000


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


LEFT, RIGHT = random(D_VOCAB, D_MODEL) + 0.5, random(D_VOCAB, D_MODEL, seed=1) - 0.3
SCORES = {"eigenvalue": copying.eigenvalue, "diagonal_z": copying.diagonal_z, "trace": copying.trace}
READ, WRITTEN = random(D_MODEL, D_HEAD, seed=2), random(D_MODEL, D_HEAD, seed=3)


def dense_scores(circuit):
    z = torch.linalg.eigvals(circuit)
    return {
        "eigenvalue": z.sum(-1).real / z.abs().sum(-1),
        "diagonal_z": (circuit.diagonal(dim1=-2, dim2=-1).mean(-1) - circuit.mean((-2, -1)))
        / circuit.flatten(-2).std(-1, correction=0),
        "trace": circuit.diagonal(dim1=-2, dim2=-1).sum(-1),
    }


def assert_same_distribution(ours, theirs):
    """Two independent samples have equal means and mean squares, within five standard errors."""
    for power in (1, 2):
        error = (2 * (theirs**power).var() / DRAWS).sqrt()
        assert ((ours**power).mean() - (theirs**power).mean()).abs() < 5 * error


def test_balanced_halves_make_the_head_whatever_its_gauge():
    gauge = random(D_HEAD, D_HEAD, seed=4)
    for read, written in ((READ, WRITTEN), (READ @ gauge, WRITTEN @ torch.linalg.inv(gauge).mT)):
        left, right = balanced(read, written)
        torch.testing.assert_close(left @ right.mT, READ @ WRITTEN.mT)
        torch.testing.assert_close(right.mT @ right, torch.eye(D_HEAD, dtype=torch.float64))
        expected = torch.linalg.svdvals(READ @ WRITTEN.mT)[:D_HEAD]
        torch.testing.assert_close(left.mT @ left, torch.diag(expected**2))


@pytest.mark.parametrize("name", ["eigenvalue", "diagonal_z", "trace"])
def test_rotations_are_those_of_dense_matrices_with_the_heads_singular_values(name):
    circuit = Grams.of(LEFT, RIGHT).through(*balanced(READ, WRITTEN))
    ours = null_circuits.rotations(circuit, {name: SCORES[name]}, DRAWS, seeded())[name]
    U, S, Vh = torch.linalg.svd(READ @ WRITTEN.mT)
    turned = (U[:, :D_HEAD] * S[:D_HEAD]) @ orthogonal(DRAWS, D_HEAD, seeded(1)) @ Vh[:D_HEAD]
    torch.testing.assert_close(torch.linalg.svdvals(turned), S.expand(DRAWS, -1), atol=1e-9, rtol=0)
    assert_same_distribution(ours, dense_scores(LEFT @ turned @ RIGHT.mT)[name])
    assert ours.mean().abs() < 1e-12


@pytest.mark.parametrize("name", ["eigenvalue", "diagonal_z"])
def test_gaussians_are_those_of_dense_random_heads(name, monkeypatch):
    monkeypatch.setattr(null_circuits, "AT_ONCE", 900)
    ours = null_circuits.gaussians(Grams.of(LEFT, RIGHT), D_HEAD, {name: SCORES[name]}, DRAWS, seeded())[name]
    heads = random(DRAWS, D_MODEL, D_HEAD, seed=5) @ random(DRAWS, D_HEAD, D_MODEL, seed=6)
    assert len(ours) == DRAWS
    assert_same_distribution(ours, dense_scores(LEFT @ heads @ RIGHT.mT)[name])


def test_no_rotation_has_the_trace_of_a_head_that_sends_all_it_reads_back():
    identity = torch.eye(D_MODEL, dtype=torch.float64)
    circuit = Grams.of(identity, identity).through(*balanced(READ, READ))
    assert copying.eigenvalue(circuit).item() == pytest.approx(1)
    # tr(S O) < tr(S) for every other orthogonal O.
    drawn = null_circuits.rotations(circuit, {"trace": copying.trace}, 200, seeded())["trace"]
    assert (drawn < copying.trace(circuit)).all()


@pytest.mark.parametrize("constant", [0.0, 1e5, 1e8])  # beside entries of about 10
def test_relabelled_deviation_is_that_over_every_order_of_tokens(constant):
    rows, columns = LEFT[:6] @ READ, RIGHT[:6] @ WRITTEN
    rows, columns = (functional.pad(side, (0, 1), value=constant**0.5) for side in (rows, columns))
    every = torch.stack([copying.diagonal_z(Grams.of(rows, columns[list(order)])) for order in orders(range(6))])
    assert every.mean().abs() < 1e-12
    torch.testing.assert_close(null_circuits.relabelled_sd(Grams.of(rows, columns)), every.std(correction=0))


def test_a_head_of_zeros_has_no_chance():
    circuit = Grams.of(LEFT, RIGHT).through(*balanced(READ * 0, WRITTEN))
    drawn = null_circuits.rotations(circuit, SCORES, 4, seeded())
    assert drawn["eigenvalue"].isnan().all()
    assert drawn["diagonal_z"].isnan().all()
    assert (drawn["trace"] == 0).all()
