from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from tiny_checkpoints import CHECKPOINTS, D_VOCAB

from pipeline.circuits.gates.gauge import regauged
from pipeline.circuits.transformer.forward import forward
from pipeline.models.families import to_weights

TOKENS = torch.randint(D_VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_familys_heads_compute_the_same_with_other_weights(name, save):
    folder, model = save(name)
    weights = to_weights(model.config.to_dict(), load_file(folder / "model.safetensors").__getitem__).double()
    other = regauged(weights, torch.Generator().manual_seed(0))
    for matrix in ("W_Q", "W_K", "W_V", "W_O"):
        change = (getattr(other, matrix) - getattr(weights, matrix)).norm() / getattr(weights, matrix).norm()
        assert change > 0.1
    found, expected = forward(other, TOKENS), forward(weights, TOKENS)
    torch.testing.assert_close(found.pattern, expected.pattern)
    torch.testing.assert_close(found.logits, expected.logits)


def test_neighbouring_components_are_stretched_alike(save):
    folder, model = save("llama")
    weights = to_weights(model.config.to_dict(), load_file(folder / "model.safetensors").__getitem__).double()
    weights = replace(weights, rotary_pairs="neighbours")
    other = regauged(weights, torch.Generator().manual_seed(0))
    torch.testing.assert_close(forward(other, TOKENS).logits, forward(weights, TOKENS).logits)


def test_the_generator_decides(save):
    folder, model = save("gpt2")
    weights = to_weights(model.config.to_dict(), load_file(folder / "model.safetensors").__getitem__).double()
    first, second, third = (regauged(weights, torch.Generator().manual_seed(seed)).W_Q for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert not torch.allclose(
        first[0, 0] @ torch.linalg.pinv(weights.W_Q[0, 0]), first[0, 1] @ torch.linalg.pinv(weights.W_Q[0, 1])
    )
