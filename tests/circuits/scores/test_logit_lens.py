import math
from dataclasses import replace

import torch
from tiny_checkpoints import D_VOCAB, weights_of
from torch.testing import assert_close

from pipeline.circuits.scores.logit_lens import logit_lens
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import OF_A_LAYER

TOKENS = torch.randint(D_VOCAB, (2, 9), generator=torch.Generator().manual_seed(2))


def test_the_last_depth_is_the_model():
    weights = weights_of("gpt2")
    trace = forward(weights, TOKENS)
    lens = logit_lens(weights, trace)
    assert_close(lens["loss"][-1], token_losses(trace.logits, TOKENS), equal_nan=True)
    assert_close(lens["divergence"][-1, :, 1:], torch.zeros(2, 8).double())
    assert (lens["agreement"][-1, :, 1:] == 1).all()
    assert all(measure[:, :, 0].isnan().all() for measure in lens.values())


def test_each_depth_is_a_model_that_ends_there():
    """What a model of one layer less predicts, against what all of it does."""
    weights = weights_of("llama")
    trace = forward(weights, TOKENS)
    layers = [name for name, x in vars(weights).items() if name.startswith(OF_A_LAYER) and x is not None]
    shorter = replace(weights, **{name: getattr(weights, name)[:2] for name in layers})
    shorter = forward(shorter, TOKENS).logits
    lens = logit_lens(weights, trace)
    assert_close(lens["loss"][2], token_losses(shorter, TOKENS), equal_nan=True)
    ours, theirs = trace.logits.log_softmax(-1)[:, :-1], shorter.log_softmax(-1)[:, :-1]
    assert_close(lens["divergence"][2, :, 1:], (ours.exp() * (ours - theirs)).sum(-1))
    same = (trace.logits.argmax(-1) == shorter.argmax(-1))[:, :-1].double()
    assert_close(lens["agreement"][2, :, 1:], same)


def test_a_model_that_unembeds_nothing_guesses_evenly_at_every_depth():
    weights = weights_of("attention_only")
    weights = replace(weights, W_U=torch.zeros_like(weights.W_U))
    loss = logit_lens(weights, forward(weights, TOKENS))["loss"]
    assert_close(loss[:, :, 1:], torch.full_like(loss[:, :, 1:], math.log(weights.d_vocab)))
