import pytest
import torch
from family_checks import EVERY_FAMILY, saved_weights


@pytest.mark.parametrize("check", EVERY_FAMILY)
def test_a_bert_is_rebuilt(check, save):
    check(save, "bert")


def test_heads_and_neurons_are_those_of_its_own_layers(save):
    model, weights = saved_weights(save, "bert")
    layer, resid = model.bert.encoder.layer[1], torch.randn(5, 24)
    for side, own in (("Q", "query"), ("K", "key"), ("V", "value")):
        W, b = (getattr(weights, f"{letter}_{side}")[1] for letter in "Wb")
        ours = [resid @ W[head] + b[head] for head in range(4)]
        torch.testing.assert_close(torch.cat(ours, -1), getattr(layer.attention.self, own)(resid))
    hidden = resid @ weights.ff_keys[1].T + weights.ff_key_bias[1]
    torch.testing.assert_close(hidden, layer.intermediate.dense(resid))
    torch.testing.assert_close(hidden @ weights.ff_values[1] + weights.ff_value_bias[1], layer.output.dense(hidden))


def test_every_token_is_of_the_first_sentence(save):
    model, weights = saved_weights(save, "bert")
    torch.testing.assert_close(weights.b_E, model.bert.embeddings.token_type_embeddings(torch.tensor(0)))


def test_a_bert_that_decodes_is_refused(save):
    with pytest.raises(ValueError, match="is_decoder=True is not supported; only False is"):
        saved_weights(save, "bert", shape={"is_decoder": True})
