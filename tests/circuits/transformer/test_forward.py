import math
from dataclasses import replace

import pytest
import torch

from pipeline.circuits.transformer.forward import attention_at, forward, run_layer
from pipeline.circuits.transformer.layers import attention_constant, head_outputs
from pipeline.circuits.transformer.weights import Weights
from pipeline.models.families import to_weights


def toy(positions="queries_and_keys", n_layers=2):
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64) / 2  # noqa: E731
    tall = {name: random(n_layers, 3, 6, 2) for name in ("W_Q", "W_K", "W_V")}
    W_pos = None if positions == "none" else random(5, 6)
    return Weights(positions, random(9, 6), random(6, 9), W_O=random(n_layers, 3, 2, 6), W_pos=W_pos, **tall)


TOKENS = torch.tensor([[3, 1, 4, 1, 5], [2, 7, 1, 8, 2]])


def by_hand(weights, tokens):
    """One sequence's logits, one query, key and head at a time."""
    resid = [weights.W_E[token] for token in tokens]
    for layer in range(weights.n_layers):
        placed = resid
        if weights.W_pos is not None:
            placed = [x + weights.W_pos[place] for place, x in enumerate(resid)]
        after = list(resid)
        for head in range(weights.n_heads):
            W_Q, W_K, W_V, W_O = (getattr(weights, name)[layer, head] for name in ("W_Q", "W_K", "W_V", "W_O"))
            for q in range(len(tokens)):
                odds = [math.exp((placed[q] @ W_Q) @ (placed[k] @ W_K) / math.sqrt(2)) for k in range(q + 1)]
                for k in range(q + 1):
                    after[q] = after[q] + odds[k] / sum(odds) * (resid[k] @ W_V @ W_O)
        resid = after
    return torch.stack(resid) @ weights.W_U


@pytest.mark.parametrize("positions", ["queries_and_keys", "none"])
def test_the_toy_network_agrees_with_plain_loops(positions):
    weights = toy(positions)
    expected = torch.stack([by_hand(weights, tokens) for tokens in TOKENS])
    torch.testing.assert_close(forward(weights, TOKENS).logits, expected)


def test_what_is_kept_fits_together():
    weights = toy()
    trace = forward(weights, TOKENS)
    for layer in range(2):
        written = head_outputs(weights, trace.z[:, layer], layer).sum(1)
        torch.testing.assert_close(trace.resid[:, layer + 1] - trace.resid[:, layer], written)
    torch.testing.assert_close(trace.pattern.sum(-1), torch.ones_like(trace.pattern[..., 0]))
    torch.testing.assert_close(trace.resid[:, -1] @ weights.W_U, trace.logits)
    assert trace.ln1_scale is None
    assert trace.feed_forward is None


def test_sequences_do_not_see_each_other():
    weights = toy()
    torch.testing.assert_close(forward(weights, TOKENS[1:]).scores, forward(weights, TOKENS).scores[1:])


@pytest.fixture(scope="module")
def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=23, n_positions=12, n_embd=16, n_layer=3, n_head=4, attn_implementation="eager")
    model = GPT2LMHeadModel(config).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():  # biases and gains too, which start at 0 and 1
        parameter.data = torch.randn(parameter.shape, generator=generator) / 2
    state = model.state_dict()
    return model, to_weights(config.to_dict(), state.__getitem__)


def test_gpt2_agrees_with_transformers(gpt2):
    model, weights = gpt2
    tokens = torch.randint(23, (2, 12), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own = model(tokens, output_attentions=True, output_hidden_states=True)
    trace = forward(weights, tokens)
    torch.testing.assert_close(trace.logits, own.logits, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(trace.pattern, torch.stack(own.attentions, 1), atol=1e-5, rtol=1e-5)
    # transformers' last hidden state is already normalised.
    torch.testing.assert_close(trace.resid[:, :3], torch.stack(own.hidden_states[:3], 1), atol=1e-4, rtol=1e-5)


def test_parts_and_constants_make_the_stream(gpt2):
    _, weights = gpt2
    trace = forward(weights, torch.arange(8)[None])
    for layer in range(3):
        written = head_outputs(weights, trace.z[:, layer], layer).sum(1) + trace.feed_forward[:, layer]
        constant = attention_constant(weights, layer) + weights.ff_value_bias[layer]
        expected = trace.resid[:, layer + 1] - trace.resid[:, layer]
        torch.testing.assert_close(written + constant, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("weights", "tokens", "message"),
    [
        pytest.param(toy(), torch.zeros(1, 6, dtype=torch.long), "the model has 5 positions", id="too long"),
        pytest.param(toy(), torch.tensor([[9]]), "the model knows 9", id="token out of range"),
        pytest.param(
            replace(toy(), ff_keys=torch.ones(2, 4, 6), activation="swish"), TOKENS, "'swish'", id="activation"
        ),
    ],
)
def test_what_the_model_cannot_run_is_refused(weights, tokens, message):
    with pytest.raises(ValueError, match=message):
        forward(weights, tokens)


def test_one_layers_attention_is_that_of_the_whole_pass():
    weights = toy()
    trace = forward(weights, TOKENS)
    for layer in range(weights.n_layers):
        found = attention_at(weights, TOKENS, layer)
        torch.testing.assert_close(found["pattern"], trace.pattern[:, layer])
        torch.testing.assert_close(found["z"], trace.z[:, layer])


def test_a_layer_that_does_not_attend_again_is_finished_where_it_is_asked_for():
    weights, places = toy(), torch.tensor([1, 4])
    trace = forward(weights, TOKENS)
    after, computed = run_layer(weights, trace.resid[:, 1], 1, attended=trace.z[:, 1], places=places)
    torch.testing.assert_close(after, trace.resid[:, 2, places])
    assert set(computed) == {"z"}
    without, _ = run_layer(weights, trace.resid[:, 1], 1, z={2: torch.zeros(())}, attended=trace.z[:, 1])
    torch.testing.assert_close(without, trace.resid[:, 2] - trace.z[:, 1, 2] @ weights.W_O[1, 2])
    torch.testing.assert_close(trace.logits, trace.resid[:, 2] @ weights.W_U)
