from dataclasses import replace

import pytest
import torch
from tiny_checkpoints import D_VOCAB, weights_of
from torch.testing import assert_close

from pipeline.circuits.causes.paths import order_losses, path_names, path_outputs
from pipeline.circuits.scores.held import Held, Part, adds_up
from pipeline.circuits.scores.virtual_heads import virtual_z
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses

EXACT = {"atol": 1e-10, "rtol": 1e-10}
TOKENS = torch.randint(1, D_VOCAB, (2, 9), generator=torch.Generator().manual_seed(2))


@pytest.fixture(params=["attention_only", "gpt2", "gpt_neox", "llama_biases"])
def held(request):
    """Without norms; with LayerNorm, gains and biases; parallel parts and rotary positions; RMSNorm and biases."""
    weights = weights_of(request.param)
    return Held.of(weights, forward(weights, TOKENS))


def path_logits(held):
    """Of every path; what the logits have whatever the stream is the first one's."""
    logits = held.logits(path_outputs(held))
    if held.logit_constant is not None:
        logits[:, 0] += held.logit_constant
    return logits


def of_coming(logits):
    """Of each token that comes, over the mean of all."""
    centred = (logits - logits.mean(-1, keepdim=True))[:, :-1]
    return centred.gather(-1, TOKENS[:, 1:, None]).squeeze(-1)


def test_parts_sum_to_the_logits(held):
    parts = held.contributions()
    assert_close(sum(parts.values())[:, 1:], of_coming(held.trace.logits), **EXACT)
    assert all(part.isnan().nonzero().tolist() == [[0, 0], [1, 0]] for part in parts.values())


@pytest.mark.parametrize("against", [2, None])
def test_parts_sum_to_one_logit_less_another(held, against):
    logits = held.trace.logits
    other = logits.mean(-1) if against is None else logits[..., against]
    assert_close(sum(held.logit_parts(7, against).values()), (logits[..., 7] - other).double(), **EXACT)


def test_every_head_and_feed_forward_part_is_one(held):
    weights, kinds = held.weights, [part.kind for part in held.contributions()]
    assert kinds.count("head") == weights.n_layers * weights.n_heads
    assert kinds.count("feed_forward") == (0 if weights.ff_keys is None else weights.n_layers)
    assert kinds.count("position") == (weights.positions == "residual")


def test_a_part_adds_what_the_model_lacks_without_it(held):
    """Of the last layer nothing is read but by the logits; with the scale it had, the head's part is all that goes."""
    last = held.weights.n_layers - 1
    stream = held.trace.resid[:, -1]
    for head in (0, 3):
        less = stream - held.trace.z[:, last, head] @ held.weights.W_O[last, head]
        change = held.logits(stream) - held.logits(less)
        assert_close(held.contributions()[Part("head", last, head)][:, 1:], of_coming(change), **EXACT)


def test_paths_and_orders_sum_to_the_logits(held):
    assert_close(path_logits(held).sum(1), held.trace.logits, **EXACT)
    whole = token_losses(held.trace.logits, TOKENS)
    assert_close(order_losses(held)[-1], whole, equal_nan=True, **EXACT)


def test_a_head_adds_what_the_paths_that_end_in_it_add(held):
    names, logits = path_names(held.weights), path_logits(held)
    for part, added in held.contributions().items():
        if part.kind == "head":
            ends = [
                place
                for place, path in enumerate(names)
                if [x for x in path if x != "direct"][-1:] == [f"{part[1]}.{part[2]}"]
            ]
            assert_close(added[:, 1:], of_coming(logits[:, ends].sum(1)), **EXACT)


def test_a_head_raises_at_the_keys_that_come_what_it_contributes(held):
    """What is added at query 3 to the logit of the token at key 4."""
    for part, added in held.contributions().items():
        if part.kind == "head":
            z = held.unscaled(held.trace.z[:, part.layer])[:, part.head, 3]
            assert_close((z * held.asked(part.layer)[:, part.head, 4]).sum(-1), added[:, 4], **EXACT)


def test_a_virtual_head_is_the_path_through_both(held):
    logits = dict(zip(path_names(held.weights), path_logits(held).unbind(1), strict=True))
    past = ("direct",) * (held.weights.n_layers - 2)
    written = virtual_z(held, (0, 1), (1, 2)) @ held.weights.W_O[1, 2]
    assert_close(held.logits(written), logits["0.1", "1.2", *past], **EXACT)


def test_without_its_scale_a_norm_is_linear(held):
    """Twice the stream is twice the logits, less what they have whatever the stream."""
    stream = held.trace.resid[:, -1]
    assert_close(held.logits(2 * stream), 2 * held.logits(stream), **EXACT)
    constant = 0 if held.logit_constant is None else held.logit_constant
    assert_close(held.logits(stream) + constant, held.trace.logits, **EXACT)


def test_norms_on_the_stream_itself_are_refused():
    weights = weights_of("bert")
    assert not adds_up(weights)
    with pytest.raises(ValueError, match="its logits are no sum"):
        Held.of(weights, forward(weights, TOKENS))
    assert not adds_up(replace(weights, norm_place="before"))  # a nonlinear head is left
