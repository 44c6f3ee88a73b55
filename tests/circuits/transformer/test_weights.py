from dataclasses import fields, replace

import pytest
import torch
from jaxtyping import TypeCheckError

from pipeline.circuits.transformer.weights import OF_A_LAYER, Weights


def network():
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    return Weights(
        "none",
        W_E=random(7, 6),
        W_U=random(6, 7),
        **{name: random(2, 3, 6, 4) for name in ("W_Q", "W_K", "W_V")},
        W_O=random(2, 3, 4, 6),
        b_Q=random(2, 3, 4),
        ln1_gain=random(2, 6),
        ln_final_gain=random(6),
        ff_keys=random(2, 5, 6),
        ln_eps=1e-6,
    )


def test_sizes_are_those_of_the_matrices():
    weights = network()
    sizes = (weights.n_layers, weights.n_heads, weights.d_model, weights.d_head, weights.d_vocab)
    assert sizes == (2, 3, 6, 4, 7)


def test_one_layer_keeps_what_is_the_models_and_takes_what_is_the_layers():
    model = network()
    alone = model.one_layer(1)
    assert alone.W_E is model.W_E
    assert alone.ln_final_gain is model.ln_final_gain
    for name in ("W_Q", "W_O", "b_Q", "ln1_gain", "ff_keys"):
        assert torch.equal(getattr(alone, name)[0], getattr(model, name)[1])
        assert len(getattr(alone, name)) == 1


def test_a_parameter_is_of_a_layer_if_its_name_says_so():
    for field in fields(Weights):
        of_a_layer = "'layer " in str(field.type)
        assert field.name.startswith(OF_A_LAYER) == of_a_layer, field.name


def test_double_changes_the_precision_and_nothing_else():
    weights, precise = network(), network().double()
    assert {tensor.dtype for tensor in vars(precise).values() if isinstance(tensor, torch.Tensor)} == {torch.float64}
    assert torch.equal(precise.W_Q.float(), weights.W_Q)
    assert (precise.positions, precise.ln_eps, precise.W_pos) == ("none", 1e-6, None)


def test_a_parameter_that_is_missing_is_named():
    weights = network()
    assert weights.parameter("ff_keys") is weights.ff_keys
    with pytest.raises(ValueError, match="the model has no ff_values"):
        weights.parameter("ff_values")


@pytest.mark.parametrize(
    "wrong",
    [
        {"W_O": torch.ones(2, 3, 6, 4)},
        {"ln1_gain": torch.ones(6)},
        {"W_E": torch.ones(7, 6, dtype=torch.int64)},
        {"W_U": torch.ones(5, 7)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_does_not_fit_together_is_refused_while_tests_run(wrong):
    with pytest.raises(TypeCheckError):
        replace(network(), **wrong)


def test_fewer_tokens_leave_their_embeddings_and_logits():
    weights = replace(network(), b_U=torch.arange(7.0))
    fewer = weights.of_tokens(torch.tensor([3, 1]))
    assert torch.equal(fewer.W_E, weights.W_E[[3, 1]])
    assert torch.equal(fewer.W_U, weights.W_U[:, [3, 1]])
    assert fewer.b_U.tolist() == [3.0, 1.0]
    assert fewer.W_Q is weights.W_Q
