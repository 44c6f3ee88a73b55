from dataclasses import replace

import pytest
import torch

from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.full_circuits import full_circuits, normalised, readers, responses, shared_rows
from pipeline.circuits.vocabulary.lens import with_positions
from pipeline.circuits.vocabulary.normalisers import notebook_normalisers


def weights():
    generator = torch.Generator().manual_seed(0)
    shapes = {"W_E": (11, 6), "W_U": (6, 11), "W_Q": (2, 3, 6, 2), "W_K": (2, 3, 6, 2), "W_V": (2, 3, 6, 2)}
    shapes |= {"W_O": (2, 3, 2, 6), "ff_keys": (2, 5, 6), "ff_values": (2, 5, 6)}
    shapes |= {"ln1_gain": (2, 6), "ln2_gain": (2, 6), "ln_final_gain": (6,)}
    return Weights("residual", **{name: torch.randn(shape, generator=generator) for name, shape in shapes.items()})


def formed(weights, head):
    factors = full_circuits(responses(weights, head, readers(weights)))
    return {circuit: tuple(side.formed() for side in sides) for circuit, sides in factors.items()}


def test_full_circuits_are_the_dense_products_of_that_head():
    model = weights()
    one = {name: getattr(model, name)[1, 2].double() for name in ("W_Q", "W_K", "W_V", "W_O")}
    W_E, W_U = model.W_E.double(), model.W_U.double()
    OV, QK = (P @ Q.T for P, Q in formed(model.one_layer(1), (0, 2)).values())
    torch.testing.assert_close(OV, W_E @ one["W_V"] @ one["W_O"] @ W_U)
    torch.testing.assert_close(QK, W_E @ one["W_Q"] @ one["W_K"].T @ W_E.T / 2**0.5)


@pytest.mark.parametrize(("kind", "value_rows"), [("residual", 14), ("queries_and_keys", 11)])
def test_positions_follow_the_tokens_where_a_matrix_meets_them(kind, value_rows):
    model = replace(weights(), positions=kind, W_pos=torch.randn(3, 6, generator=torch.Generator().manual_seed(1)))
    extended = with_positions(model)
    answers = {name: rows.formed() for name, rows in responses(extended, (1, 2), readers(extended)).items()}
    assert {name: len(rows) for name, rows in answers.items()} == {"W_Q": 14, "W_K": 14, "W_V": value_rows, "W_O": 11}
    torch.testing.assert_close(answers["W_K"][11:], model.W_pos.double() @ model.W_K[1, 2].double())
    torch.testing.assert_close(answers["W_Q"][:11], model.W_E.double() @ model.W_Q[1, 2].double())
    assert with_positions(weights()).W_E.shape == (11, 6)


def test_normalising_divides_every_entry_by_both_its_tokens():
    model = weights()
    means = notebook_normalisers([model], 4)
    factors = full_circuits(responses(model, (1, 2), readers(model)))
    for circuit, (rows, columns) in {"OV": ("W_V", "W_O"), "QK": ("W_Q", "W_K")}.items():
        P, Q = formed(model, (1, 2))[circuit]
        left, right = normalised(circuit, factors[circuit], means)
        expected = P @ Q.T / means[rows][:, None] / means[columns]
        torch.testing.assert_close(left.formed() @ right.formed().T, expected)
        assert normalised(circuit, factors[circuit], {}) == factors[circuit]


@pytest.mark.parametrize("n_tokens", [11, 9])  # the others are taken for positions
def test_what_circuits_share_is_of_tokens_alone_where_it_says_so(n_tokens):
    model = replace(weights(), W_U=weights().W_U[:, :n_tokens])
    shared = shared_rows(model, n_tokens)
    tokens = model.W_E[:n_tokens].double()
    assert (len(shared.items["W_Q"].values), len(shared.tokens["W_Q"].values)) == (11, n_tokens)
    torch.testing.assert_close(shared.meetings["QK"], tokens.T @ tokens)
    torch.testing.assert_close(shared.meetings["OV"], model.W_U.double() @ tokens)
