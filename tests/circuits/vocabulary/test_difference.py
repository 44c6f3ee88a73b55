import torch

from pipeline.circuits.vocabulary.difference import difference
from pipeline.circuits.vocabulary.tall import Rows, Tall
from pipeline.circuits.vocabulary.top_pairs import top_pairs

N_TOKENS, WIDTH = 40, 9


def random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def circuit(rank, seed):
    """Factors that are not formed, of an embedding of their own."""
    sides = (random(N_TOKENS, WIDTH, seed=seed), random(N_TOKENS, WIDTH, seed=seed + 1))
    return tuple(Tall(Rows(side), random(WIDTH, rank, seed=seed + 2 + n)) for n, side in enumerate(sides))


def dense(factors):
    return factors[0].formed() @ factors[1].formed().T


def test_factors_are_those_of_the_dense_difference_of_circuits_of_two_widths_and_ranks():
    one, other = circuit(3, 0), circuit(4, 10)
    found = difference(one, other)
    assert found[0].rank == 7
    torch.testing.assert_close(dense(found), dense(other) - dense(one))
    gram = found[0].formed().T @ found[0].formed()
    torch.testing.assert_close(gram, torch.diag(torch.linalg.svdvals(dense(other) - dense(one))[:7]))


def test_a_circuit_does_not_differ_from_itself_in_whatever_basis():
    one, turn = circuit(3, 0), random(3, 3, seed=5)
    P, Q = one
    turned = Tall(P.rows, P.matrix @ turn), Tall(Q.rows, Q.matrix @ torch.linalg.inv(turn).T)
    assert difference(one, one) is None
    assert difference(one, turned) is None


def test_one_small_pair_that_was_put_in_is_all_that_differs():
    """An entry a millionth of the largest, beside which a search of either circuit sees nothing."""
    P, Q = (factor.formed() for factor in circuit(3, 0))
    value = 1e-6 * (P @ Q.T).abs().max()
    row, column = torch.zeros(2, N_TOKENS, 1, dtype=torch.float64)
    row[7], column[11] = value, 1.0
    changed = Tall.of(torch.cat([P, row], 1)), Tall.of(torch.cat([Q, column], 1))
    found = difference((Tall.of(P), Tall.of(Q)), changed)
    assert found[0].rank == 1
    top = top_pairs(*found, 1).top
    assert (top.rows.item(), top.columns.item()) == (7, 11)
    torch.testing.assert_close(top.values[0], value, rtol=1e-8, atol=0)
