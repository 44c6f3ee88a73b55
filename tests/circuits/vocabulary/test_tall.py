"""Tall matrices against the same matrices, formed in plain loops."""

import pytest
import torch

from pipeline.circuits.vocabulary.tall import Rows, Tall, products


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tall(n=150, width=20, rank=5):
    return Tall(Rows(random(n, width).float()), random(width, rank, seed=1))


def test_rows_are_those_of_the_product():
    factor, ids = tall(), torch.tensor([149, 3, 3, 0])
    for row, found in zip(ids.tolist(), factor.exact(ids).tolist(), strict=True):
        for column, value in enumerate(found):
            terms = (factor.rows.values[row, i].item() * factor.matrix[i, column].item() for i in range(20))
            assert value == pytest.approx(sum(terms))
    torch.testing.assert_close(factor.formed()[ids], factor.exact(ids))
    torch.testing.assert_close(factor.formed(2), factor.formed()[:, :2])


def test_a_row_is_the_same_bits_whichever_others_are_asked_for():
    factor = tall(n=1000, width=300, rank=64)
    every = factor.exact(torch.arange(1000))
    for n in (0, 1, 2, 63, 64, 65, 500):
        ids = torch.randperm(1000, generator=torch.Generator().manual_seed(n))[:n]
        assert torch.equal(factor.exact(ids), every[ids])


def test_a_formed_matrix_keeps_its_bits():
    formed = random(100, 7) * 10.0 ** random(100, 1)
    assert torch.equal(Tall.of(formed).exact(torch.arange(100)), formed)
    assert torch.equal(Tall.of(formed).formed(), formed)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_what_rows_share_is_what_dense_products_give(offset):
    rows = Rows((random(5000, 6) + offset).float())
    dense = rows.values.double()
    torch.testing.assert_close(rows.gram, dense.T @ dense)
    torch.testing.assert_close(rows.mean, dense.mean(0))
    torch.testing.assert_close(rows.spread / 5000, dense.T.cov(correction=0))
    torch.testing.assert_close(rows.sampled_gram, rows.gram)
    torch.testing.assert_close(products(rows.values, 2 * rows.values), 2 * rows.gram)
    root, back = rows.root
    torch.testing.assert_close(root.T @ root, rows.gram)
    torch.testing.assert_close(dense @ back @ root, dense)
    lengths = dense.pow(2).sum(1).sqrt()
    assert (rows.lengths >= lengths).all()
    torch.testing.assert_close(rows.lengths, lengths)


def test_directions_that_no_row_has_are_left_out():
    rows = Rows(random(3, 6).float())
    root, back = rows.root
    orthonormal = rows.values.double() @ back
    torch.testing.assert_close(orthonormal @ root, rows.values.double())
    torch.testing.assert_close((orthonormal.T @ orthonormal).trace(), torch.tensor(3.0, dtype=torch.float64))


def test_rows_read_in_their_own_precision_are_off_by_no_more_than_is_said():
    for factor in (tall(), Tall.of(random(150, 5)), Tall(Rows(1e-30 * random(150, 20).float()), 1e-5 * random(20, 5))):
        basis = random(5, 5, seed=2)
        reading, error = factor.reader(basis)
        off = (factor.rows.values @ reading).double() - factor.formed() @ basis
        assert (off.norm(dim=1) <= error * factor.rows.lengths).all()
        assert (factor.exact(torch.arange(150)).norm(dim=1) <= factor.longest).all()


@pytest.mark.parametrize("formed", [torch.zeros(3, 2), torch.zeros(3, dtype=torch.float64)])
def test_a_factor_is_a_float64_matrix(formed):
    with pytest.raises(ValueError, match="give a float64 matrix"):
        Tall.of(formed)
