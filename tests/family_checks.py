"""What must hold for a model of any family, read by its table and rebuilt from its weights alone."""

from dataclasses import replace

import torch
from safetensors.torch import load_file
from tiny_checkpoints import D_VOCAB

from pipeline.circuits.causes.ablation import Change, losses_with
from pipeline.circuits.causes.edges import without_edge
from pipeline.circuits.terms.sources import streams, terms
from pipeline.circuits.terms.walk import walk
from pipeline.circuits.transformer.attention import capped
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.models.families import to_weights
from pipeline.models.own_forward import own_forward

TOKENS = torch.randint(D_VOCAB, (2, 12), generator=torch.Generator().manual_seed(1))


def saved_weights(save, name, **options):
    """Save a tiny checkpoint; return the library's model, and its weights as its file has them."""
    folder, model = save(name, **options)
    return model, to_weights(model.config.to_dict(), load_file(folder / "model.safetensors").__getitem__)


def the_rebuilt_model_is_the_librarys(save, name):
    model, weights = saved_weights(save, name)
    with torch.no_grad():
        own = model(TOKENS, output_attentions=True, output_hidden_states=True)
    trace = forward(weights, TOKENS)
    torch.testing.assert_close(trace.logits, own.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(trace.pattern, torch.stack(own.attentions, 1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(trace.resid[:, :3], torch.stack(own.hidden_states[:3], 1), atol=1e-4, rtol=1e-4)


def terms_sum_to_the_librarys_scores(save, name):
    folder, model = save(name)
    weights = to_weights(model.config.to_dict(), load_file(folder / "model.safetensors").__getitem__)
    own = own_forward(folder)(TOKENS)
    for number, layer in enumerate(walk(weights, TOKENS, len(TOKENS), weights.n_layers)):
        sources = layer.queries_keys()
        for split in (sources, streams(sources)):
            total, seen = sum(term for _, _, term in terms(split)), own.pattern[:, number] > 0
            total = capped(total, weights.score_cap)
            torch.testing.assert_close(total[seen], own.scores[:, number][seen], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(forward(weights.double(), TOKENS).logits, own.logits, atol=1e-4, rtol=1e-4)


def ablating_a_head_is_a_model_without_its_output_map(save, name):
    weights = saved_weights(save, name)[1].double()
    trace = forward(weights, TOKENS)
    for head in ((0, 1), (1, 0)):
        without = torch.zeros(weights.d_head).double() if weights.b_V is None else -weights.b_V[head]
        ablated = losses_with(weights, trace, Change({head: without}))
        expected = token_losses(forward(_silenced(weights, head), TOKENS).logits, TOKENS)
        torch.testing.assert_close(ablated, expected, equal_nan=True)
        assert not torch.allclose(ablated[:, 1:], token_losses(trace.logits, TOKENS)[:, 1:])


def cutting_the_edge_of_a_silent_head_changes_nothing(save, name):
    weights = saved_weights(save, name)[1].double()
    silent = _silenced(weights, (0, 1))
    trace = forward(silent, TOKENS)
    for attention, z in without_edge(silent, trace, (0, 1), 1).values():
        torch.testing.assert_close(attention, trace.pattern[:, 1])
        torch.testing.assert_close(z, trace.z[:, 1])
    speaks = forward(weights, TOKENS)
    for side, (attention, z) in without_edge(weights, speaks, (0, 1), 1).items():
        assert torch.equal(attention, speaks.pattern[:, 1]) == (side == "V")
        assert not torch.allclose(z, speaks.z[:, 1])


def _silenced(weights, head):
    W_O = weights.W_O.clone()
    W_O[head] = 0
    return replace(weights, W_O=W_O)


# What the test of every family runs on each of its checkpoints.
EVERY_FAMILY = [
    the_rebuilt_model_is_the_librarys,
    terms_sum_to_the_librarys_scores,
    ablating_a_head_is_a_model_without_its_output_map,
    cutting_the_edge_of_a_silent_head_changes_nothing,
]
