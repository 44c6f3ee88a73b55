import pytest
import torch
from factors_to_search import FEW_DIRECTIONS, NOT_FORMED, UNREAD

from pipeline.circuits.vocabulary import spectra
from pipeline.circuits.vocabulary.spectra import centred, relative_gaps
from pipeline.circuits.vocabulary.tall import Rows, Tall, products


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spectrum(P, Q, directions=None):
    return spectra.spectrum(Tall.of(P), Tall.of(Q), Q.T @ P, directions)


def moments(P, Q):
    return spectra.moments(Tall.of(P), Tall.of(Q))


def test_a_diagonal_circuit_shows_its_diagonal():
    diagonal = torch.tensor([2.0, -3.0, 0.5], dtype=torch.float64)
    found = spectrum(torch.diag(diagonal), torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(found.eigenvalues.real, torch.tensor([-3.0, 2.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(found.singular_values, torch.tensor([3.0, 2.0, 0.5], dtype=torch.float64))
    order = torch.eye(3, dtype=torch.float64)[:, [1, 0, 2]]
    torch.testing.assert_close(found.left, order)
    torch.testing.assert_close(found.right, order * torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))


def test_a_quarter_turn_has_imaginary_eigenvalues_the_positive_one_first():
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    found = spectrum(turn, torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(found.eigenvalues, torch.tensor([1j, -1j], dtype=torch.complex128))


@pytest.mark.parametrize("shape", [(20, 4), (4, 4), (3, 5)])
def test_factored_and_dense_circuits_agree(shape):
    P, Q = random(*shape), random(*shape, seed=1)
    dense, found, size = P @ Q.T, spectrum(P, Q), min(shape)
    rebuilt = found.left @ torch.diag(found.singular_values) @ found.right.T
    torch.testing.assert_close(rebuilt, dense)
    torch.testing.assert_close(found.singular_values, torch.linalg.svdvals(dense)[:size])
    sizes = found.eigenvalues.abs()
    torch.testing.assert_close(sizes, torch.linalg.eigvals(dense).abs().sort(descending=True).values[:size])
    torch.testing.assert_close(found.eigenvalues.sum().real, dense.trace())
    assert (found.left.gather(0, found.left.abs().argmax(0, keepdim=True)) > 0).all()
    torch.testing.assert_close(found.singular_values.norm(), dense.norm())


@pytest.mark.parametrize("d_vocab", [40, 9])  # more and fewer tokens than dimensions of the embedding
def test_circuits_that_are_not_formed_are_those_that_are(d_vocab):
    rows, columns = Rows(random(d_vocab, 12).float()), Rows(random(d_vocab, 12, seed=1).float())
    P, Q = Tall(rows, random(12, 4, seed=2)), Tall(columns, random(12, 4, seed=3))
    found = spectra.spectrum(P, Q, columns.values.double().T @ rows.values.double())
    expected = spectrum(P.formed(), Q.formed())
    for name in ("eigenvalues", "singular_values", "left", "right"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))
    assert spectra.moments(P, Q) == pytest.approx(moments(P.formed(), Q.formed()))


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_moments_are_those_of_every_entry(offset):
    P, Q = random(30, 4) + offset, random(20, 4, seed=1)
    dense = P @ Q.T
    mean, deviation = moments(P, Q)
    assert mean == pytest.approx(float(dense.mean()))
    assert deviation == pytest.approx(float(dense.std(correction=0)), rel=1e-9)


def test_z_is_undefined_where_nothing_varies():
    ones = torch.ones(5, 2, dtype=torch.float64)
    values = torch.full((3,), 2.0, dtype=torch.float64)
    assert moments(ones, ones) == (2.0, 0.0)
    assert centred(values, *moments(ones, ones)).isnan().all()
    assert centred(0 * values, 0.0, 0.0).isnan().all()
    assert centred(torch.tensor([5.0], dtype=torch.float64), 1.0, 2.0).tolist() == [2.0]


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_z_is_undefined_where_a_head_reads_nothing_but_rounding(scale):
    nothing = [NOT_FORMED[name] for name in NOT_FORMED if "nothing" in name or "drops" in name]
    assert len(nothing) == 4
    for P, Q in nothing:
        assert spectra.moments(Tall(P.rows, scale * P.matrix), Q)[1] == 0
    cancelling = Tall(FEW_DIRECTIONS, scale * (UNREAD @ random(20, 6) + 1e-4 * random(30, 6, seed=2))), Q
    dense = cancelling[0].formed() @ Q.formed().T
    assert spectra.moments(*cancelling)[1] == pytest.approx(float(dense.std(correction=0)), rel=1e-2)


@pytest.mark.parametrize("name", [name for name, (P, Q) in NOT_FORMED.items() if len(P) == len(Q)])
def test_every_circuit_has_a_spectrum(name):
    P, Q = NOT_FORMED[name]
    found = spectra.spectrum(P, Q, products(Q.rows.values, P.rows.values))
    size = P.rows.lengths.norm() * P.matrix.norm() * Q.rows.lengths.norm() * Q.matrix.norm()
    values = torch.linalg.svdvals(P.formed() @ Q.formed().T)[: len(found.singular_values)]
    torch.testing.assert_close(found.singular_values, values, rtol=1e-6, atol=float(1e-7 * size))
    assert found.eigenvalues.isfinite().all()
    for side in (found.left, found.right):
        torch.testing.assert_close(side.T @ side, torch.eye(side.shape[1], dtype=torch.float64))


def test_eigenvalues_of_equal_rows_are_found():
    """What torch's own do not converge on, by the thousand."""
    for seed in range(20):
        kinds, token = random(2, 8, seed=seed), torch.arange(40) % 2
        matrix = (kinds @ random(8, 8, seed=2))[token] @ kinds[token].T
        of_kinds = torch.linalg.eigvals(20 * kinds @ random(8, 8, seed=2) @ kinds.T)
        found = spectra.eigenvalues(matrix)
        largest = found[found.abs().argsort(descending=True)[:2]]
        torch.testing.assert_close(torch.view_as_real(largest.sum()), torch.view_as_real(of_kinds.sum()))
        torch.testing.assert_close(largest.abs().sort().values, of_kinds.abs().sort().values)


@pytest.mark.parametrize("threads", [1, 3])
def test_eigenvalues_of_many_matrices_are_each_one_s_whoever_shares_them(threads):
    diagonals = torch.arange(1.0, 21.0, dtype=torch.float64).reshape(2, 5, 2)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = spectra.eigenvalues(torch.diag_embed(diagonals))
    torch.set_num_threads(before)
    assert found.real.sort(-1).values.equal(diagonals)
    assert found.imag.abs().max() == 0


def test_the_first_directions_are_those_of_all():
    P, Q = random(20, 4), random(20, 4, seed=1)
    first, every = spectrum(P, Q, 2), spectrum(P, Q)
    torch.testing.assert_close(first.left, every.left[:, :2])
    torch.testing.assert_close(first.right, every.right[:, :2])
    torch.testing.assert_close(first.singular_values, every.singular_values)
    assert spectrum(P, Q, 0).left.shape == (20, 0)


@pytest.mark.parametrize("spread", [1.0, 1e-4, 1e-9, 0.0])
def test_directions_are_orthonormal_even_if_columns_nearly_depend_on_each_other(spread):
    P, Q = random(30, 4), random(30, 4, seed=1)
    P[:, 3] = P[:, 2] + spread * P[:, 3]
    found = spectrum(P, Q)
    for side in (found.left, found.right):
        torch.testing.assert_close(side.T @ side, torch.eye(4, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(found.left @ torch.diag(found.singular_values) @ found.right.T, P @ Q.T)


def test_gaps_of_known_singular_values():
    values = torch.tensor([8.0, 4.0, 4.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(relative_gaps(values, 9), torch.tensor([0.5, 0.0, 0.75, 1.0], dtype=torch.float64))
    assert relative_gaps(values, 4)[:3].tolist() == [0.5, 0.0, 0.75]
    assert relative_gaps(values, 4)[3].isnan()
    assert relative_gaps(0 * values, 9).isnan().all()
