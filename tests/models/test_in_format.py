import pytest
import torch

from pipeline.circuits.transformer.forward import forward
from pipeline.models.families import to_weights
from pipeline.models.in_format import FORMATS, FormatConfig, InFormat
from pipeline.models.training import Optimisation, Training

D_VOCAB = 11
TOKENS = torch.randint(D_VOCAB, (2, 9), generator=torch.Generator().manual_seed(1))
SHARED = {"gpt2": 4, "llama": 2}  # keys and values


def made(format, seed=0, tied=True):
    config = FormatConfig(format, 2, 4, SHARED[format], 16, 20, 9, D_VOCAB, tied, initial_sd=0.3)
    return InFormat(config, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("tied", [False, True])
def test_it_has_the_librarys_names_and_losses_and_is_read_as_any_checkpoint(format, tied):
    model = made(format, tied=tied)
    config, state = model.described(), model.state_dict()
    assert (config["model_type"], config["vocab_size"]) == (format, D_VOCAB)
    assert ("lm_head.weight" in state) != tied
    with torch.no_grad():
        library = model.of_library(TOKENS, labels=TOKENS)
        torch.testing.assert_close(model.losses(TOKENS).mean(), library.loss)
    weights = to_weights(config, state.__getitem__)
    assert (weights.n_layers, weights.n_heads, weights.ff_keys.shape) == (2, 4, (2, 20, 16))
    assert len(weights.W_K[0].unique(dim=0)) == SHARED[format]
    torch.testing.assert_close(forward(weights, TOKENS).logits, library.logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("format", FORMATS)
def test_the_generator_alone_decides_first_weights(format):
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first, again, other = (made(format, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    embedding = "transformer.wte.weight" if format == "gpt2" else "model.embed_tokens.weight"
    assert not torch.equal(first[embedding], other[embedding])
    assert first[embedding].std() == pytest.approx(0.3, rel=0.2)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sequence_that_always_repeats_is_learned(format, dtype):
    same = torch.tensor([[0, 1, 2, 3, 4, 5, 0, 1, 2]])
    optimisation = Optimisation(60, 1e-2, 0, 0.3, 0.9, 0.98, 1e-8, 0.0)
    run = Training(made(format), lambda generator: same, optimisation, torch.Generator().manual_seed(0), dtype)
    losses = [loss for _, loss in run.steps()]
    assert losses[0] > 1.5
    assert losses[-1] < 0.1
