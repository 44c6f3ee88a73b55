import math

import pytest
import torch

from pipeline.circuits.scores.challenges import RIVALS, challenge_scores, looked_for, predictable
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights

# 0 begins; 1 is followed by 2, then by 3, then comes a third time; 5 4 6 and 7 4 8 before a last 7 4.
AMBIGUOUS = torch.tensor([[0, 1, 2, 9, 1, 3, 8, 1, 5], [0, 1, 2, 1, 3, 9, 6, 1, 7]])
TOLD_APART = torch.tensor([[0, 5, 4, 6, 7, 4, 8, 7, 4, 1], [0, 5, 4, 6, 7, 4, 8, 5, 4, 1]])
REPEATED = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 1, 4], [0, 4, 3, 9, 9, 3, 9, 4, 3]])


def followers(row, query):
    """Keys after an earlier occurrence of the query's token; position 0 is [BEGIN]."""
    return [key for key in range(2, query + 1) if row[key - 1] == row[query]]


def entries(tokens, chosen):
    found = torch.zeros(*tokens.shape, tokens.shape[1], dtype=torch.bool)
    for sentence, row in enumerate(tokens.tolist()):
        for query in range(len(row)):
            for key in chosen(row, query):
                found[sentence, query, key] = True
    return found


@pytest.mark.parametrize("tokens", [AMBIGUOUS, TOLD_APART, REPEATED])
def test_targets_follow_earlier_occurrences(tokens):
    found = looked_for(tokens, 1, None)
    assert found["induction", "mass"].equal(entries(tokens, followers))
    assert found["previous_token", "mean"].equal(entries(tokens, lambda row, query: [query - 1] if query else []))


def test_the_later_of_two_targets_is_the_recent_one():
    found = looked_for(AMBIGUOUS, 1, 1)
    for place, name in ((-1, "recent"), (0, "earlier")):
        expected = entries(AMBIGUOUS, lambda row, q, at=place: [f[at]] if len(f := followers(row, q)) == 2 else [])
        assert found["induction", name].equal(expected)
    assert found["induction", "recent"][0].nonzero().tolist() == [[7, 5]]
    assert found["induction", "earlier"][0].nonzero().tolist() == [[7, 2]]


def test_the_token_before_tells_two_targets_apart():
    found = looked_for(TOLD_APART, 1, 2)
    assert found["induction", "same_context"].nonzero().tolist() == [[0, 8, 6], [1, 8, 3]]
    assert found["induction", "other_context"].nonzero().tolist() == [[0, 8, 3], [1, 8, 6]]


def test_queries_that_no_context_tells_apart_do_not_count():
    tokens = torch.tensor([[0, 5, 4, 6, 5, 4, 8, 5, 4, 1], [0, 5, 4, 6, 7, 4, 8, 9, 4, 1]])
    found = looked_for(tokens, 1, 2)
    assert not found["induction", "same_context"].any()
    assert not found["induction", "other_context"].any()


@pytest.mark.parametrize("tokens", [AMBIGUOUS, REPEATED])
def test_a_token_is_foretold_by_an_earlier_pair(tokens):
    found = predictable(tokens, looked_for(tokens, 1, None)["induction", "mass"])
    for sentence, row in enumerate(tokens.tolist()):
        pairs = [tuple(row[place : place + 2]) for place in range(1, len(row) - 1)]
        expected = [place >= 2 and (row[place - 1], row[place]) in pairs[: place - 2] for place in range(len(row))]
        assert found[sentence].tolist() == expected
    assert tokens is not REPEATED or found.sum() == 5


def network(d_vocab=10, length=10):
    """Two layers of three random heads."""
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    heads = {name: random(2, 3, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    ends = {"W_E": random(d_vocab, 8), "W_U": random(8, d_vocab), "W_pos": random(length, 8)}
    return Weights(positions="queries_and_keys", W_O=random(2, 3, 4, 8), **heads, **ends)


def pooled_by_hand(scores, name, pairs):
    """Compare a score with its mean over [(sentence, value)], and its parts with those of each sentence."""
    values = torch.stack([value for _, value in pairs])
    torch.testing.assert_close(scores[name].value, values.mean(0))
    for sentence, found in enumerate(scores[name].sentences):
        mine = [value for place, value in pairs if place == sentence]
        assert scores[name].weight[sentence].unique().tolist() == [len(mine)]
        assert not mine or torch.allclose(found, torch.stack(mine).mean(0))


@pytest.mark.parametrize("batch", [1, 2])
def test_heads_are_scored_over_queries_that_have_a_target(batch):
    weights, rows = network(), REPEATED.tolist()
    pattern = forward(weights, REPEATED).pattern
    scores = challenge_scores(weights, REPEATED, 1, None, batch)
    queries = [(s, q, keys) for s, row in enumerate(rows) for q in range(len(row)) if (keys := followers(row, q))]
    pairs = [(s, pattern[s, :, :, q, keys].sum(-1)) for s, q, keys in queries]
    pooled_by_hand(scores, ("induction", "mass"), pairs)
    chance = sum(len(keys) / (q + 1) for _, q, keys in queries) / len(queries)
    assert scores["induction", "mass"].chance == pytest.approx(chance)


def test_predictions_are_scored_by_whether_a_repeat_foretells_them():
    weights = network()
    logits = forward(weights, REPEATED).logits
    losses = token_losses(logits, REPEATED)
    told = predictable(REPEATED, looked_for(REPEATED, 1, None)["induction", "mass"])
    scores = challenge_scores(weights, REPEATED, 1, None, 2)
    places = [(s, p) for s in range(len(REPEATED)) for p in range(1, REPEATED.shape[1])]
    repeated = [(s, losses[s, p]) for s, p in places if told[s, p]]
    pooled_by_hand(scores, ("loss", "repeated"), repeated)
    pooled_by_hand(scores, ("loss", "novel"), [(s, losses[s, p]) for s, p in places if not told[s, p]])
    right = [(s, (logits[s, p - 1].argmax() == REPEATED[s, p]).double()) for s, p in places if told[s, p]]
    pooled_by_hand(scores, ("accuracy", "repeated"), right)
    assert scores["loss", "novel"].chance == pytest.approx(math.log(10))
    assert scores["accuracy", "repeated"].chance == pytest.approx(0.1)


@pytest.mark.parametrize(("tokens", "context"), [(AMBIGUOUS, 1), (TOLD_APART, 2)])
def test_logits_of_the_two_continuations_are_compared(tokens, context):
    weights = network()
    logits = forward(weights, tokens).logits
    scores, named = challenge_scores(weights, tokens, 1, context, 2), looked_for(tokens, 1, context)
    keys = [named["induction", name].nonzero().tolist() for name in RIVALS[context]]
    differences = [
        (s, logits[s, q, tokens[s, first]] - logits[s, q, tokens[s, second]])
        for (s, q, first), (_, _, second) in zip(*keys, strict=True)
    ]
    definition = "_minus_".join(RIVALS[context])
    pooled_by_hand(scores, ("logit_difference", definition), differences)
    pooled_by_hand(scores, ("preference", definition), [(s, (value > 0).double()) for s, value in differences])


def test_what_no_query_tells_has_no_value():
    scores = challenge_scores(network(), torch.tensor([[0, 1, 2, 3, 4]]), 1, 1, 1)
    for name in (("induction", "mass"), ("induction", "recent"), ("loss", "repeated")):
        assert scores[name].value.isnan().all()
    assert scores["loss", "novel"].value.isfinite()
