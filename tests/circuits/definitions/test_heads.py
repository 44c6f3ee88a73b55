import math
from dataclasses import replace

import pytest
import torch
from untrained import PERIOD, model, sequences

from pipeline.circuits.chance import null_patterns
from pipeline.circuits.definitions.definition import OfPattern, level
from pipeline.circuits.definitions.heads import ATTENTION, WEIGHTS
from pipeline.circuits.definitions.registry import HEADS, measured_as
from pipeline.circuits.definitions.views import Tokens, Turned
from pipeline.circuits.scores import head_patterns
from pipeline.circuits.transformer.forward import forward

NAMED = {entry.name: entry for entry in HEADS}


def test_tokens_that_stay_where_they_are_give_the_scores_themselves():
    """Of every score that says what it is where tokens change places."""
    weights, tokens = model(0), Tokens(sequences()[PERIOD], 1, PERIOD)
    pattern, targets = forward(weights, tokens.tokens).pattern, tokens.targets
    nowhere = torch.zeros(1, tokens.tokens.shape[1], dtype=torch.float64)
    sums = null_patterns.matches(pattern, tokens.tokens, 1, nowhere)
    turned = Turned(sums["all"], sums["latest"], targets.sum(), targets.any(-1).sum(), tokens.tokens.numel())
    compared = [(entry, measure) for entry, measure in measured_as(OfPattern, HEADS) if measure.turned]
    names = ("mass", "entry_mean", "most_recent", "detector_mul", "detector_abs")
    assert {entry.name for entry, _ in compared} == {("induction", name) for name in names}
    for entry, measure in compared:
        expected = head_patterns.score(pattern, measure.template(tokens))
        torch.testing.assert_close(measure.turned(turned)[0], expected, atol=1e-6, rtol=1e-6, msg=str(entry.name))


def test_only_tokens_that_repeat_have_a_stripe():
    measure = NAMED["induction", "stripe"].measure
    assert measure.template(Tokens(sequences()[None], 1)) is None
    stripe = measure.template(Tokens(sequences()[PERIOD], 1, PERIOD))
    assert stripe.entries[0].nonzero().tolist() == [[query, query - PERIOD + 1] for query in range(PERIOD - 1, 9)]


@pytest.mark.parametrize("context", [None, 1, 2])
def test_only_sequences_with_that_context_have_rivals(context):
    tokens = Tokens(torch.tensor([[0, 1, 2, 9, 1, 3, 8, 1, 5]]), 1, context=context)
    rivals = {1: {"recent", "earlier"}, 2: {"same_context", "other_context"}}
    told = {
        name for name in set.union(*rivals.values()) if NAMED["induction", name].measure.template(tokens) is not None
    }
    assert told == rivals.get(context, set())


def test_levels_are_counted_from_the_models_sizes():
    weights = model(0)  # 12 tokens, 9 positions, heads 4 wide
    levels = {entry.name: entry.levels(weights) for entry in WEIGHTS}
    assert levels["copying", "top1"] == levels["copying", "top1_unigram"] == (1 / 12, 1)
    assert levels["copying", "top5"] == (5 / 12, 1)
    # An orthogonal projection on 4 of 12 directions, constant entries left out.
    assert levels["copying", "diagonal_z"] == (0, 2)
    assert levels["previous_token", "recall"] == levels["previous_token", "recall_64"] == (1 / 8, 1)
    even = sum(1 / (query + 1) for query in range(1, 9)) / 8
    assert levels["previous_token", "positional"] == (pytest.approx(even), 1)
    longer = replace(weights, W_pos=torch.zeros(80, 12))
    assert level(NAMED["previous_token", "recall"].chance, longer) == 1 / 79
    assert level(NAMED["previous_token", "recall_64"].chance, longer) == 1 / 63
    without = replace(weights, W_pos=None)
    for definition in ("positional", "recall", "recall_64"):
        assert math.isnan(level(NAMED["previous_token", definition].chance, without))


def test_what_patterns_are_compared_with_is_counted_on_the_sequences():
    assert all(math.isnan(entry.chance) and math.isnan(entry.ideal) for entry in ATTENTION)


def test_scores_of_patterns_come_without_begin_too_but_for_those_about_it_and_the_detectors():
    alone = {
        (entry.metric, entry.definition) for entry in ATTENTION if f"{entry.definition}_no_begin" not in names(entry)
    }
    twins = {entry.name for entry in ATTENTION if entry.needs_begin}
    detected = {(metric, d) for metric in ROLES for d in ("detector_mul", "detector_abs")}
    assert alone - twins == {("first_token", "mean"), *detected}
    for entry in ATTENTION:
        if entry.needs_begin:
            parent = NAMED[entry.metric, entry.definition.removesuffix("_no_begin")]
            assert (entry.periodic, entry.on_challenges) == (parent.periodic, parent.on_challenges)
            assert entry.nulls == (("step_0",) if parent.nulls else ())


ROLES = ("previous_token", "duplicate_token", "induction")


def names(entry):
    """Definitions of the same metric."""
    return {other.definition for other in ATTENTION if other.metric == entry.metric}
