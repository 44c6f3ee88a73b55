import json

import pytest
import torch
from safetensors.torch import save_file
from tiny_checkpoints import D_VOCAB

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


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_its_forward_pass_is_the_librarys_in_float64(name, save):
    folder, model = save(name)
    own = own_forward(folder)
    for tokens in (TOKENS, TOKENS[:1, :5]):  # of a second call, nothing of the first is left
        with torch.no_grad():
            expected = model.double()(tokens, output_attentions=True)
        torch.testing.assert_close(own(tokens).logits, expected.logits)
        torch.testing.assert_close(own(tokens).pattern, torch.stack(expected.attentions, 1))
        assert own(tokens).scores.dtype == torch.float64


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
