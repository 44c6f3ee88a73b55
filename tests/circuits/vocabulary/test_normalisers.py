import pytest
import torch

from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.normalisers import mean_response, notebook_normalisers


def weights():
    generator = torch.Generator().manual_seed(0)
    shapes = {"W_E": (11, 6), "W_U": (6, 11), "W_Q": (2, 3, 6, 2), "W_K": (2, 3, 6, 2), "W_V": (2, 3, 6, 2)}
    shapes |= {"W_O": (2, 3, 2, 6), "ff_keys": (2, 5, 6), "ff_values": (2, 5, 6)}
    shapes |= {"ln1_gain": (2, 6), "ln2_gain": (2, 6), "ln_final_gain": (6,)}
    return Weights("residual", **{name: torch.randn(shape, generator=generator) for name, shape in shapes.items()})


def test_mean_response_of_a_known_token():
    vectors = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 5.0]])
    token = torch.tensor([[3.0, 0.0]])
    assert mean_response(token, vectors, tile=1).item() == pytest.approx((3 + 6 + 0) / 3)
    assert mean_response(token, vectors, tile=1, positive=True).item() == pytest.approx(3 / 3)
    assert mean_response(0 * token, vectors, tile=1).item() == 0
    for scale in (1e-30, 1e30):  # products that float32 does not hold
        assert mean_response(scale * token, scale * vectors, tile=1).item() == pytest.approx(3 * scale**2)


@pytest.mark.parametrize("tile", [1, 4, 100])
def test_every_normaliser_is_the_mean_over_all_layers_and_heads(tile):
    model = weights()
    means = notebook_normalisers([model.one_layer(layer) for layer in range(2)], tile)
    for name in ("W_Q", "W_K", "W_V", "W_O"):
        total, count = torch.zeros(11), 0
        for layer in range(2):
            for head in range(3):
                matrix = getattr(model, name)[layer, head]
                for vector in matrix if name == "W_O" else matrix.T:
                    total += (model.W_U.T @ vector if name == "W_O" else model.W_E @ vector).abs()
                    count += 1
        torch.testing.assert_close(means[name].float(), total / count)
    keys = sum((model.W_E @ key).relu() for layer in model.ff_keys for key in layer) / 10
    torch.testing.assert_close(means["FF_key"].float(), keys)
    values = sum((model.W_U.T @ value).relu() for layer in model.ff_values for value in layer) / 10
    torch.testing.assert_close(means["FF_value"].float(), values)


def test_a_token_that_answers_to_nothing_is_divided_by_something():
    model = weights()
    model.W_E[3] = 0
    assert notebook_normalisers([model], 4)["W_Q"][3] == pytest.approx(1e-9)
