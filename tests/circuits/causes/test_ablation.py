import math
from dataclasses import replace

import pytest
import torch
from hand_wired import COPY, D_VOCAB, PERIOD, induction_network, tokens
from torch.testing import assert_close

from pipeline.circuits.causes.ablation import (
    METHODS,
    changes,
    every_ablation,
    losses_with,
    random_directions,
)
from pipeline.circuits.resampling import derangement
from pipeline.circuits.transformer.forward import forward, unembed
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights

PREDICTED = slice(PERIOD + 2, None)  # tokens of the second copy that an earlier one tells
CERTAIN = math.log(math.exp(COPY) + D_VOCAB - 1) - COPY  # their loss
KNOWN_NOTHING = math.log(D_VOCAB)


def ablated(weights, sequences, heads, seed=0, batch=8):
    losses, whole = every_ablation(weights, sequences, heads, torch.Generator().manual_seed(seed), batch)
    return dict(zip(METHODS, losses.unbind(1), strict=True)), whole


def network(**tensors):
    """Two layers with norms and feed-forward parts, random."""
    generator = torch.Generator().manual_seed(1)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    named = {name: random(2, 2, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    named |= {"W_E": random(11, 8), "W_U": random(8, 11), "W_pos": random(7, 8), "W_O": random(2, 2, 4, 8)}
    named |= {"ln1_gain": random(2, 8), "ln2_gain": random(2, 8), "ln_final_gain": random(8)}
    named |= {"ff_keys": random(2, 16, 8), "ff_values": random(2, 16, 8), "activation": "relu"}
    return Weights(positions="residual", **(named | tensors))


def some_tokens(n=4):
    return torch.randint(11, (n, 7), generator=torch.Generator().manual_seed(2))


def test_without_the_induction_head_nothing_is_known():
    losses, whole = ablated(induction_network(), tokens(), [(1, 0)])
    assert_close(whole[:, PREDICTED], torch.full_like(whole[:, PREDICTED], CERTAIN))
    for method in ("zero", "pattern_preserving"):
        assert_close(losses[method][0, :, 1:], torch.full_like(whole[:, 1:], KNOWN_NOTHING))


def test_the_previous_token_head_matters_only_by_what_the_induction_head_then_looks_at():
    losses, whole = ablated(induction_network(), tokens(), [(0, 0)])
    assert_close(losses["pattern_preserving"][0], whole, equal_nan=True)
    # Nothing matches any more: the induction head looks everywhere alike, and promotes each token by its frequency.
    for sentence, row in enumerate(tokens().tolist()):
        for position in range(1, len(row)):
            logits = [COPY * row[:position].count(token) / position for token in range(D_VOCAB)]
            expected = math.log(sum(map(math.exp, logits))) - logits[row[position]]
            assert losses["zero"][0, sentence, position].item() == pytest.approx(expected)


def test_another_sentence_s_output_names_another_sentence_s_tokens():
    sequences = tokens()
    losses, _ = ablated(induction_network(), sequences, [(1, 0)], seed=3)
    donors = derangement(len(sequences), torch.Generator().manual_seed(3))
    expected = math.log(math.exp(COPY) + D_VOCAB - 1)
    for sentence, row in enumerate(sequences.tolist()):
        donor = sequences[donors[sentence]].tolist()
        for position in range(PERIOD + 2, len(row)):
            found = losses["resample"][0, sentence, position].item()
            assert found == pytest.approx(expected - COPY * (donor[position] == row[position]))


def test_the_mean_is_over_sentences_and_positions():
    weights, sequences = induction_network(), tokens()
    losses, _ = ablated(weights, sequences, [(1, 0)])
    constant = (forward(weights, sequences).z[:, 1, 0] @ weights.W_O[1, 0] @ weights.W_U).flatten(0, 1).mean(0)
    expected = token_losses(constant.expand(*sequences.shape, D_VOCAB), sequences)
    assert_close(losses["mean"][0], expected, equal_nan=True)


def test_a_head_that_writes_nothing_changes_nothing():
    losses, whole = ablated(induction_network(), tokens(), [(0, 1), (1, 1)])
    for method in METHODS:
        assert_close(losses[method], whole.expand(2, *whole.shape), equal_nan=True)


@pytest.mark.parametrize("head", [(0, 1), (1, 0)])
def test_zero_is_a_model_whose_head_has_no_output_map(head):
    weights = network()
    losses, whole = ablated(weights, some_tokens(), [head])
    W_O = weights.W_O.clone()
    W_O[head] = 0
    without = replace(weights, W_O=W_O)
    assert_close(losses["zero"][0], token_losses(forward(without, some_tokens()).logits, some_tokens()), equal_nan=True)
    assert not torch.allclose(losses["zero"][0, :, 1:], whole[:, 1:])
    # The last layer's patterns are the last.
    same = torch.equal(losses["zero"][0, :, 1:], losses["pattern_preserving"][0, :, 1:])
    assert same == (head[0] == 1)


def test_the_control_takes_away_a_vector_as_long_as_the_output_and_leaves_the_output():
    weights = network()
    trace = forward(weights, some_tokens())
    directions = random_directions((*some_tokens().shape, 8), torch.Generator().manual_seed(4)).double()
    change = changes(weights, trace.z, (1, 0), trace.z.mean((0, 3)), trace.z, directions)["random_direction"]
    output = trace.z[:, 1, 0] @ weights.W_O[1, 0]
    assert_close(change.norm(dim=-1), output.norm(dim=-1))
    assert_close(change / change.norm(dim=-1, keepdim=True), -directions)


def test_a_change_joins_the_output_of_attention():
    weights = network(ff_keys=None, ff_values=None, ln2_gain=None)
    trace = forward(weights, some_tokens())
    change = torch.randn(trace.resid[:, 0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    expected = token_losses(unembed(weights, trace.resid[:, 2] + change), some_tokens())
    assert_close(losses_with(weights, trace, 1, change), expected, equal_nan=True)
    nothing = torch.zeros_like(change)
    for frozen in (False, True):
        unchanged = losses_with(network(), forward(network(), some_tokens()), 0, nothing, frozen)
        assert_close(unchanged, token_losses(forward(network(), some_tokens()).logits, some_tokens()), equal_nan=True)


def test_one_sentence_has_no_other():
    with pytest.raises(ValueError, match="too few"):
        ablated(network(), some_tokens()[:1], [(0, 0)])


def test_portions_bound_memory_and_change_nothing():
    heads = [(0, 0), (1, 1)]
    portions = [every_ablation(network(), some_tokens(), heads, torch.Generator().manual_seed(0), n)[0] for n in (1, 9)]
    assert_close(*portions, equal_nan=True)
