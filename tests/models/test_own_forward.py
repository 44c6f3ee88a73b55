import json

import pytest
import torch
from safetensors.torch import save_file
from tiny_checkpoints import D_VOCAB

from pipeline.models import own_forward as own_forward_module
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.own_forward import own_forward

TOKENS = torch.randint(D_VOCAB, (2, 12), generator=torch.Generator().manual_seed(1))
LATER = torch.ones(12, 12, dtype=torch.bool).triu(1)


def test_scores_of_the_librarys_model_make_its_pattern(save):
    folder, _ = save("llama")
    own = own_forward(folder)(TOKENS)
    torch.testing.assert_close(own.scores.masked_fill(LATER, -torch.inf).softmax(-1), own.pattern)


def test_a_model_that_attends_both_ways_predicts_hidden_tokens(save):
    folder, model = save("bert")
    own = own_forward(folder)(TOKENS)
    torch.testing.assert_close(own.scores.softmax(-1), own.pattern)
    with torch.no_grad():
        torch.testing.assert_close(own.logits, model.double()(TOKENS).logits)


@pytest.mark.parametrize(("name", "off"), [("gpt2", 1e-12), ("llama", 2e-6)])
def test_its_forward_pass_is_the_librarys_in_float64(name, off, save):
    """The library puts norms, softmax and angles of some families into float32, whatever it is told."""
    folder, model = save(name)
    own = own_forward(folder)
    for tokens in (TOKENS, TOKENS[:1, :5]):  # of a second call, nothing of the first is left
        with torch.no_grad():
            expected = model.double()(tokens, output_attentions=True)
        torch.testing.assert_close(own(tokens).logits, expected.logits, atol=off, rtol=0)
        torch.testing.assert_close(own(tokens).pattern, torch.stack(expected.attentions, 1), atol=off, rtol=0)
        assert own(tokens).scores.dtype == torch.float64


def test_what_the_library_puts_into_float32_is_computed_in_float64():
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    x, gain = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    norm = LlamaRMSNorm(24, eps=1e-6).double()
    norm.weight.data = gain[0]
    expected = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * gain[0]
    assert (norm(x) - expected).abs().max() > 1e-9
    with own_forward_module._Noted64():
        torch.testing.assert_close(norm(x), expected, atol=1e-14, rtol=0)
        assert torch.arange(3, dtype=torch.float32).float().dtype == torch.float64
    assert torch.arange(3, dtype=torch.float32).float().dtype == torch.float32


def test_two_models_at_once_note_their_own_scores(save):
    first, second = (own_forward(save(name, folder=name)[0]) for name in ("llama", "gpt2"))
    for own in (first, second, first):
        found = own(TOKENS)
        torch.testing.assert_close(found.scores.masked_fill(LATER, -torch.inf).softmax(-1), found.pattern)


def test_the_toy_networks_is_its_own_trace(tmp_path):
    config = AttentionOnlyConfig(2, 2, 8, 12, D_VOCAB, "queries_and_keys", tied=True)
    network = AttentionOnly(config)
    network.initialise(1.0, 1.0, 1.0, torch.Generator().manual_seed(0))
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(vars(config) | {"model_type": "attention_only"}))
    own = own_forward(tmp_path)(TOKENS)
    assert not own.logits.requires_grad
    torch.testing.assert_close(own.logits, network.double().trace(TOKENS, torch.float64).logits)
    torch.testing.assert_close(own.scores.masked_fill(LATER, -torch.inf).softmax(-1), own.pattern)
