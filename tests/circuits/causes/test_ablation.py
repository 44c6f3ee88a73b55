import math
from dataclasses import replace
from itertools import product

import pytest
import torch
from hand_wired import COPY, D_VOCAB, PERIOD, induction_network, tokens
from torch.testing import assert_close

from pipeline.circuits.causes.ablation import (
    METHODS,
    Change,
    Others,
    change_of,
    every_ablation,
    losses_with,
    random_directions,
)
from pipeline.circuits.resampling import derangement
from pipeline.circuits.transformer.forward import embed, forward, run_layer, unembed
from pipeline.circuits.transformer.layers import attend, feed_forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights

PREDICTED = slice(PERIOD + 2, None)  # tokens of the second copy that an earlier one tells
CERTAIN = math.log(math.exp(COPY) + D_VOCAB - 1) - COPY  # their loss
KNOWN_NOTHING = math.log(D_VOCAB)


def ablated(weights, sequences, heads, seed=0, batch=8):
    """By method, the losses of each head, or set of heads."""
    sets = [heads if isinstance(heads[0], tuple) else (heads,) for heads in heads]
    pairs = list(product(sets, METHODS))
    losses, whole = every_ablation(weights, sequences, pairs, torch.Generator().manual_seed(seed), batch)
    return dict(zip(METHODS, losses.unflatten(0, (-1, len(METHODS))).unbind(1), strict=True)), whole


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


def test_of_three_copies_of_a_head_one_is_spared_and_all_are_not():
    """Each gives COPY logits to the token that comes next, and the loss hardly moves until the last is gone."""
    copies = [(1, 0), (1, 1), (1, 2)]
    losses, whole = ablated(induction_network(copies=3), tokens(), [tuple(copies[:gone]) for gone in (1, 2, 3)])
    for loss, left in zip([whole, *losses["zero"]], (3, 2, 1, 0), strict=True):
        known = math.log(math.exp(left * COPY) + D_VOCAB - 1) - left * COPY
        assert_close(loss[:, PREDICTED], torch.full_like(loss[:, PREDICTED], known))


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


FF = ("ff_keys", "ff_values", "ln2_gain")


@pytest.mark.parametrize("heads", [((0, 1),), ((1, 0),), ((0, 0), (0, 1)), ((1, 1), (0, 1)), ((0, 0), (1, 0), (1, 1))])
@pytest.mark.parametrize("without", [(), FF, (*FF, "ln1_gain", "ln_final_gain")])
def test_zero_is_a_model_whose_heads_have_no_output_map(heads, without):
    weights = network(**dict.fromkeys(without))
    losses, whole = ablated(weights, some_tokens(), [heads])
    silent = forward(silenced(weights, heads), some_tokens())
    assert_close(losses["zero"][0], token_losses(silent.logits, some_tokens()), equal_nan=True)
    assert not torch.allclose(losses["zero"][0, :, 1:], whole[:, 1:])
    # Nothing follows the last layer's patterns, nor does any head of it that is left attend otherwise.
    same = torch.equal(losses["zero"][0, :, 1:], losses["pattern_preserving"][0, :, 1:])
    assert same == (heads == ((1, 0),) or {(1, 0), (1, 1)} < set(heads))


def silenced(weights, heads):
    W_O = weights.W_O.clone()
    for head in heads:
        W_O[head] = 0
    return replace(weights, W_O=W_O)


@pytest.mark.parametrize("without", [(), FF, (*FF, "ln1_gain", "ln_final_gain")])
def test_without_any_head_the_direct_path_is_left(without):
    """Embedding, feed-forward parts and unembedding, of each position by itself."""
    weights = network(**dict.fromkeys(without))
    losses, _ = ablated(weights, some_tokens(), [tuple(product(range(2), range(2)))])
    resid, _ = embed(weights, some_tokens())
    for layer in range(2 if "ff_keys" not in without else 0):
        resid = resid + feed_forward(weights, resid, layer)
    assert_close(losses["zero"][0], token_losses(unembed(weights, resid), some_tokens()), equal_nan=True)


@pytest.mark.parametrize("method", ["mean", "resample"])
def test_of_heads_that_span_layers_each_is_replaced_by_what_it_wrote_in_the_whole_model(method):
    """Even where the earlier one's replacement changes what the later one would write."""
    weights, heads = network(), ((0, 1), (1, 0))
    losses, _ = ablated(weights, some_tokens(), [heads], seed=3)
    z = forward(weights, some_tokens()).z
    donors = derangement(4, torch.Generator().manual_seed(3))
    resid, _ = embed(weights, some_tokens())
    for layer, head in heads:
        other = z[donors, layer, head] if method == "resample" else z[:, layer, head].mean((0, 1)).expand(4, 7, 4)
        own = attend(weights, resid, layer)["z"][:, head]
        resid, _ = run_layer(weights, resid, layer, (other - own) @ weights.W_O[layer, head])
    assert_close(losses[method][0], token_losses(unembed(weights, resid), some_tokens()), equal_nan=True)


@pytest.mark.parametrize("heads", [((1, 0),), ((0, 0), (0, 1)), ((0, 1), (1, 0), (1, 1))])
def test_the_control_takes_away_a_vector_as_long_as_the_output_and_leaves_the_output(heads):
    weights = network()
    trace = forward(weights, some_tokens())
    directions = random_directions((4, 2, 7, 8), torch.Generator().manual_seed(4)).double()
    others = Others(trace.z.mean((0, 3)), trace.z, directions)
    change = change_of(weights, trace, heads, "random_direction", others)
    assert not change.z
    assert set(change.added) == {layer for layer, _ in heads}
    for layer, added in change.added.items():
        output = sum(trace.z[:, layer, head] @ weights.W_O[layer, head] for at, head in heads if at == layer)
        assert_close(added.norm(dim=-1), output.norm(dim=-1))
        assert_close(added / added.norm(dim=-1, keepdim=True), -directions[:, layer])


def test_a_change_joins_the_output_of_attention():
    weights = network(ff_keys=None, ff_values=None, ln2_gain=None)
    trace = forward(weights, some_tokens())
    change = torch.randn(trace.resid[:, 0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    expected = token_losses(unembed(weights, trace.resid[:, 2] + change), some_tokens())
    assert_close(losses_with(weights, trace, Change({}, {1: change})), expected, equal_nan=True)
    nothing = torch.zeros_like(change)
    for frozen in (False, True):
        unchanged = losses_with(network(), forward(network(), some_tokens()), Change({}, {0: nothing}, frozen))
        assert_close(unchanged, token_losses(forward(network(), some_tokens()).logits, some_tokens()), equal_nan=True)


def test_one_sentence_has_no_other():
    with pytest.raises(ValueError, match="too few"):
        ablated(network(), some_tokens()[:1], [(0, 0)])


def test_portions_bound_memory_and_change_nothing():
    heads = [(0, 0), (1, 1), ((0, 1), (1, 0))]
    for one, all_at_once in zip(
        *(ablated(network(), some_tokens(), heads, batch=n)[0].values() for n in (1, 9)), strict=True
    ):
        assert_close(one, all_at_once, equal_nan=True)


def test_losses_at_some_places_are_those_of_all_places():
    weights, ablations = network(), [(((0, 1),), "zero"), (((1, 0), (0, 0)), "resample")]
    by_places = [
        every_ablation(weights, some_tokens(), ablations, torch.Generator().manual_seed(0), 3, places)
        for places in (None, torch.tensor([2, 5, 6]))
    ]
    for every, few in zip(*by_places, strict=True):
        assert_close(few[..., [2, 5, 6]], every[..., [2, 5, 6]])
        assert few[..., [0, 1, 3, 4]].isnan().all()
