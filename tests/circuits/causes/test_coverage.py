from itertools import permutations, product

import pytest
import torch
from torch.nn.functional import pad
from torch.testing import assert_close

from pipeline.circuits.causes.coverage import (
    COPYING,
    ROLES,
    TOGETHER,
    attention_roles,
    role_divergences,
    shares,
    token_directions,
)
from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.transformer.forward import forward, unembed
from pipeline.circuits.transformer.layers import attend, attention_constant, feed_forward, normalise
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded

LEAST = 1e-9  # nats; of heads that do nothing, rounding is less
D_VOCAB, LENGTH, COPY, SHARP = 12, 9, 3.0, 400.0  # COPY: logits; exp(-SHARP) is 0 beside 1 in float64
# Blocks of the stream; REST is 1 at every token, and token 0 is [BEGIN].
EYE = torch.eye(3 * D_VOCAB + LENGTH + 1, dtype=torch.float64)
TOKEN, BEFORE, OUTPUT, PLACE, REST = EYE.split((D_VOCAB, D_VOCAB, D_VOCAB, LENGTH, 1))
# Pairs of what a query has and a key must have; a score counts SHARP for each.
BACK, SAME, AFTER = (PLACE[1:], PLACE[:-1]), (TOKEN[1:], TOKEN[1:]), (TOKEN[1:], BEFORE[1:])
NOT_ITSELF, RESTS = (-2 * PLACE, PLACE), (REST, TOKEN[:1] / 2)


def wired(*layers, writes=OUTPUT[1:], begin=0.0, b_U=-1e4):
    """One head a layer, each of pairs; it writes COPY times the text token attended to, or `begin` times [BEGIN].

    All but the last write to BEFORE. Logits read OUTPUT, so that nothing but the last head speaks; [BEGIN] is never
    predicted unless b_U, its bias, is 0.
    """
    heads = [[torch.cat(side) for side in zip(*pairs, strict=True)] for pairs in layers]
    width = max(D_VOCAB, *(len(queries) for queries, _ in heads))
    held = lambda rows: pad(rows, (0, 0, 0, width - len(rows)))[None]  # noqa: E731
    read = held(torch.cat([begin * TOKEN[:1], TOKEN[1:]])).mT
    written = [*(BEFORE for _ in layers[1:]), COPY * torch.cat([OUTPUT[:1], writes])]
    return Weights(
        positions="queries_and_keys",
        W_E=TOKEN + REST,
        W_pos=PLACE.clone(),
        W_U=OUTPUT.mT.contiguous(),
        b_U=b_U * torch.eye(D_VOCAB, dtype=torch.float64)[0],
        W_Q=torch.stack([SHARP * width**0.5 * held(queries).mT for queries, _ in heads]),
        W_K=torch.stack([held(keys).mT for _, keys in heads]),
        W_V=read.expand(len(layers), *read.shape),
        W_O=torch.stack([held(rows) for rows in written]),
    )


def turned(*row):
    """Sentences of one row, [BEGIN] before it, such that each text token comes as often as any other at each place.

    A head is then, on average, in favour of no token, and one that rests on [BEGIN] does as the average does.
    """
    rows = torch.tensor([[(token - 1 + turn) % (D_VOCAB - 1) + 1 for token in row] for turn in range(D_VOCAB - 1)])
    return pad(rows, (1, 0))


ROW = turned(1, 2, 3, 2, 1, 3, 1, 2)


def found_in(weights, tokens, masks=None, head=(0, 0), first=1, draws=2, at_once=8):
    masks = attention_roles(tokens, first) if masks is None else masks
    directions = token_directions(gains_folded(weights, "folded_centred"))
    places = torch.arange(1, tokens.shape[1])
    generator = torch.Generator().manual_seed(4)
    return role_divergences(weights, tokens, [head], masks, directions, places, draws, generator, at_once)


def shares_in(weights, tokens, masks=None, first=1, confidence=0.95, **more):
    """Of one head, by role and by what Shares has."""
    found = found_in(weights, tokens, masks, first=first, **more)
    counts = resampled_counts(len(tokens), 200, torch.Generator().manual_seed(0))
    every = shares(found, counts, confidence, LEAST)._asdict()
    names = [*(attention_roles(tokens, first) if masks is None else masks), COPYING]
    return {name: {key: value[place, 0].item() for key, value in every.items()} for place, name in enumerate(names)}


PURE = {
    "previous_token": [[BACK]],
    "duplicate_token": [[SAME, NOT_ITSELF, RESTS]],
    "induction": [[BACK], [AFTER, RESTS]],
}


@pytest.mark.parametrize("role", PURE)
def test_a_pure_head_is_all_role_and_copies_and_chance_is_not(role):
    weights = wired(*PURE[role])
    found = shares_in(weights, ROW, head=(weights.n_layers - 1, 0))
    for name in (role, TOGETHER, COPYING):
        assert found[name]["value"] == pytest.approx(1, abs=1e-12)
        assert found[name]["lo"] == pytest.approx(1, abs=1e-12)
        assert found[name]["chance"] < 0.5
        assert found[name]["above_lo"] > 0.3
    assert found["current_token"]["value"] == pytest.approx(0, abs=1e-12)


def test_a_head_that_only_feeds_another_is_known_by_its_edges_and_copies_nothing():
    found = shares_in(wired(*PURE["induction"]), ROW)
    assert found["previous_token"]["value"] == pytest.approx(1, abs=1e-12)
    # What it writes lies where no logit reads.
    assert found[COPYING]["value"] == pytest.approx(0, abs=1e-12)


def test_a_head_that_writes_other_tokens_than_it_sees_does_not_copy():
    found = shares_in(wired([BACK], writes=OUTPUT[1:].roll(1, 0)), ROW)
    assert found["previous_token"]["value"] == pytest.approx(1, abs=1e-12)
    assert found[COPYING]["value"] < 0.1


def test_of_a_head_that_changes_its_role_by_the_query_each_role_has_its_queries():
    """Places 2 to 4 look back, places 5 to 8 at earlier copies: each prediction loses the same without the head."""
    early = (2 * PLACE[1:5], PLACE[:4])
    found = shares_in(wired([early, SAME, NOT_ITSELF, RESTS]), ROW)
    known = {"previous_token": 3 / 7, "duplicate_token": 4 / 7, TOGETHER: 1, "first_token": 0, "current_token": 0}
    for role, share in known.items():
        assert found[role]["value"] == pytest.approx(share, abs=1e-12)
        assert found[role]["hi"] - found[role]["lo"] < 1e-9  # every sentence is the same, but for its words


def test_of_half_the_attention_each_way_each_half_keeps_what_it_keeps():
    """From place 2 on, half to the token before and half to [BEGIN], which here is a token like any other."""
    begin = torch.eye(D_VOCAB, dtype=torch.float64)[0]
    before, even = torch.eye(D_VOCAB, dtype=torch.float64)[1], (1 - begin) / (D_VOCAB - 1)
    mean = (2 * begin + (LENGTH - 2) * (before.new_tensor(0.5) * (even + begin))) / LENGTH

    def cost(written, kept):
        p, q = ((COPY * logits).softmax(-1) for logits in (written, kept))
        return float((p * (p / q).log()).sum())

    both = (before + begin) / 2
    ablated = cost(begin, mean) + (LENGTH - 2) * cost(both, mean)  # at place 1 the token before is [BEGIN]
    found = shares_in(wired([BACK, (REST, TOKEN[:1])], begin=1.0, b_U=0.0), ROW)
    for role, half in (("previous_token", before), ("first_token", begin)):
        kept = (LENGTH - 2) * cost(both, mean + (half - mean) / 2)
        assert found[role]["value"] == pytest.approx(1 - kept / ablated, abs=1e-12)
    assert 0 < found["previous_token"]["value"] < found[TOGETHER]["value"] == pytest.approx(1, abs=1e-12)


def test_of_even_attention_no_edge_is_more_than_another():
    """In all orders of some tokens, whichever keys are kept are like any others, exactly."""
    found = shares_in(wired([(REST, 0 * REST)]), torch.tensor([*permutations(range(1, 6))]), first=0)
    assert found["previous_token"]["value"] == pytest.approx(found["current_token"]["value"], abs=1e-12)
    for role in ("previous_token", "current_token", TOGETHER):
        assert abs(found[role]["value"]) > 0.01
        assert [found[role][name] for name in ("above_lo", "above_hi")] == pytest.approx([0, 0], abs=1e-12)
    for role in ("duplicate_token", "induction"):  # there are no such keys
        assert found[role]["value"] == found[role]["chance"] == pytest.approx(0, abs=1e-12)
    assert found[COPYING]["value"] == pytest.approx(1, abs=1e-12)  # yet it copies what it sees


def test_of_even_attention_copies_of_a_token_are_more_than_as_many_others_only_as_they_add_up():
    """In all sequences of three tokens: where a token repeats, its copies together write more in one direction."""
    found = shares_in(wired([(REST, 0 * REST)]), torch.tensor([*product(range(1, 4), repeat=5)]), first=0)
    assert found["previous_token"]["value"] == pytest.approx(found["current_token"]["value"], abs=1e-12)
    for role in ("previous_token", "current_token"):
        assert found[role]["above_lo"] < 0 < found[role]["above_hi"]
    assert found["duplicate_token"]["above_lo"] > 0
    assert found["induction"]["above_lo"] < 0


def test_edges_drawn_are_as_many_with_the_same_attention():
    """Of even attention on one token alone, whichever keys are drawn are the same."""
    tokens = torch.full((3, LENGTH), 2) + torch.arange(3)[:, None]
    weights = wired([(REST, 0 * REST)])
    back = {name: attention_roles(tokens, 0)[name] for name in ("previous_token", "duplicate_token", TOGETHER)}
    found = found_in(weights, tokens, back, draws=3)
    assert_close(found.random[:, :3], found.kept[:3].expand(3, -1, -1, -1))
    assert_close(found.mass[0, 0], torch.full((3,), float(sum(1 / n for n in range(2, 10)) / 8), dtype=torch.float64))


# Against loops over edges, in a model that has everything.


def network():
    generator = torch.Generator().manual_seed(1)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    named = {name: random(2, 2, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    named |= {"W_E": random(11, 8), "W_U": random(8, 11), "W_pos": random(7, 8), "W_O": random(2, 2, 4, 8)}
    named |= {name: random(2, 8) for name in ("ln1_gain", "ln2_gain", "ln1_bias", "ln2_bias", "b_O")}
    named |= {"b_V": random(2, 2, 4), "ln_final_gain": random(8), "ln_final_bias": random(8)}
    named |= {"ff_keys": random(2, 16, 8), "ff_values": random(2, 16, 8), "activation": "relu"}
    named["W_Q"] = named["W_Q"] / 4  # no key takes all attention
    return Weights(positions="residual", **named)


def some_tokens():
    return torch.randint(1, 11, (4, 7), generator=torch.Generator().manual_seed(2))


def losses_of(weights, tokens, head, change):
    """KL of every prediction but the first, where one head writes something else: a forward pass of its own."""
    resid = weights.W_E[tokens] + weights.W_pos
    for layer in range(2):
        z = attend(weights, resid, layer)["z"]
        outputs = [z[:, place] @ weights.W_O[layer, place] for place in range(2)]
        if layer == head[0]:
            outputs[head[1]] = change
        resid = resid + sum(outputs) + attention_constant(weights, layer)
        resid = resid + feed_forward(weights, resid, layer)
    p, q = (logits.softmax(-1) for logits in (forward(weights, tokens).logits, unembed(weights, resid)))
    return (p * (p / q).log()).sum(-1)[:, 1:].sum(-1)


@pytest.mark.parametrize("head", [(0, 1), (1, 0)])
def test_what_is_kept_is_the_sum_over_the_edges_of_the_role(head):
    weights, tokens = network(), some_tokens()
    trace, masks = forward(weights, tokens), attention_roles(tokens, 0)
    read, _ = normalise(weights, trace.resid[:, head[0]], weights.ln1_gain[head[0]], weights.ln1_bias[head[0]])
    values, pattern = read @ weights.W_V[head], trace.pattern[:, *head]
    own, W_O = trace.z[:, *head] @ weights.W_O[head], weights.W_O[head]
    mean = trace.z[:, *head].mean((0, 1))
    found = found_in(weights, tokens, masks, head, first=0, at_once=3)

    def compared(written):
        written = torch.cat([own[:, :1], written[:, 1:]], 1)
        return losses_of(weights, tokens, head, written)

    assert_close(found.ablated[0], compared((mean @ W_O).expand_as(own)))
    for kept, mask in zip(found.kept, masks.values(), strict=False):
        z = mean.repeat(*own.shape[:2], 1)
        for sentence, query, key in mask.nonzero().tolist():
            z[sentence, query] += pattern[sentence, query, key] * (values[sentence, key] - mean)
        assert_close(kept[0], compared(z @ W_O))
    logits_of = (weights.ln_final_gain[:, None] * weights.W_U).T  # what each token's logit reads of the stream
    logits_of = logits_of - logits_of.mean(1, keepdim=True)
    logits_of = logits_of - logits_of.mean(0)
    along, rest = torch.zeros_like(own), torch.zeros_like(own)
    for sentence, query, key in pattern.nonzero().tolist():
        written = (values[sentence, key] - weights.ln1_bias[head[0]] @ weights.W_V[head]) @ W_O
        unit = logits_of[tokens[sentence, key]] / logits_of[tokens[sentence, key]].norm()
        along[sentence, query] += pattern[sentence, query, key] * (written @ unit) * unit
        rest[sentence, query] += pattern[sentence, query, key] * (written - (written @ unit) * unit)
    constant = weights.ln1_bias[head[0]] @ weights.W_V[head] @ W_O
    assert_close(found.kept[-1, 0], compared(along + rest.mean((0, 1)) + constant))


def test_all_edges_are_the_head_and_none_is_its_mean():
    tokens = some_tokens()
    whole = torch.ones(4, 7, 7, dtype=torch.bool)
    found = shares_in(network(), tokens, {"all": whole, "none": ~whole}, head=(0, 1))
    assert found["all"]["value"] == pytest.approx(1, abs=1e-12)
    for name in ("value", "lo", "hi", "chance", "chance_hi", "above_chance", "above_lo", "above_hi"):
        assert found["none"][name] == pytest.approx(0, abs=1e-12)


def test_the_number_of_sentences_at_once_does_not_matter():
    for one, other in zip(
        found_in(network(), some_tokens(), at_once=1), found_in(network(), some_tokens()), strict=True
    ):
        assert_close(one, other)


def test_intervals_are_of_sentences_and_one_has_none():
    found = shares_in(network(), some_tokens())["previous_token"]
    half = shares_in(network(), some_tokens(), confidence=0.5)["previous_token"]
    assert found["lo"] < half["lo"] < found["value"] < half["hi"] < found["hi"]
    assert found["above_chance"] == pytest.approx(found["value"] - found["chance"])
    assert half["chance"] == pytest.approx(half["chance_hi"])  # of two draws, the median is the mean
    alone = shares_in(network(), some_tokens()[:1])["previous_token"]
    assert alone["value"] == alone["value"]
    assert alone["lo"] != alone["lo"]


def test_of_a_head_without_effect_there_is_no_share():
    silent = wired([BACK], writes=0 * OUTPUT[1:])
    assert all(value != value for numbers in shares_in(silent, ROW).values() for value in numbers.values())


def test_where_no_sequence_begins_with_begin_none_looks_at_it():
    tokens = some_tokens()
    assert set(ROLES) - {*attention_roles(tokens, 0), COPYING} == {"first_token"}
    assert [*attention_roles(tokens, 1), COPYING] == [*ROLES]
    assert not (attention_roles(tokens, 1)[TOGETHER] & ~torch.ones(7, 7, dtype=torch.bool).tril()).any()
