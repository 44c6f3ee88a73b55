from itertools import permutations

import einops
import pytest
import torch

from pipeline.circuits.chance import null_patterns
from pipeline.circuits.scores import head_patterns, induction

FIRST, LENGTH = 1, 9
TOKENS = torch.tensor([[9, 1, 2, 1, 2, 1, 1, 3, 1], [9, 1, 2, 3, 1, 2, 3, 1, 2], [9, 4, 5, 6, 4, 5, 6, 4, 5]])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def patterns(sentences=3):
    scores = torch.randn(sentences, 2, 3, LENGTH, LENGTH, generator=seeded())
    hidden = ~torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril()
    return (3 * scores).masked_fill(hidden, -torch.inf).softmax(-1)


def mass(pattern, tokens, turns):
    """Draws of `head_patterns.mass`: attention to all targets, over the queries that have any."""
    queries = induction.targets(tokens, FIRST).any(-1).sum()
    return null_patterns.matches(pattern, tokens, FIRST, turns)["all"] / queries


def test_tokens_that_stay_where_they_are_give_the_attention_to_targets():
    targets = induction.targets(TOKENS, FIRST)
    sums = null_patterns.matches(patterns(), TOKENS, FIRST, torch.zeros(1, LENGTH, dtype=torch.float64))
    for name, template in (("all", head_patterns.mass(targets)), ("latest", induction.most_recent(targets))):
        expected = head_patterns.match(patterns(), [template])[0].sum(0)
        torch.testing.assert_close(sums[name][0], expected, atol=1e-6, rtol=1e-6)


def test_turned_tokens_are_looked_up_one_by_one():
    pattern, turns = patterns(), null_patterns.turns(5, LENGTH, seeded())
    found = null_patterns.matches(pattern, TOKENS, FIRST, turns)
    for draw in range(5):
        sums = {name: torch.zeros(2, 3) for name in found}
        for b, sentence in enumerate(TOKENS.tolist()):
            for query in range(FIRST + 1, LENGTH):
                seen = query - FIRST  # keys before the query, [BEGIN] left out
                by = int(turns[draw, query] * seen)
                # Where each earlier token now stands, its order around the circle kept.
                copies = [k for k in range(FIRST, query) if sentence[k] == sentence[query]]
                for key in copies:
                    place = FIRST + (key - FIRST + by) % seen
                    sums["all"] += pattern[b, :, :, query, place + 1]
                    if key == copies[-1]:
                        sums["latest"] += pattern[b, :, :, query, place + 1]
        for name, expected in sums.items():
            torch.testing.assert_close(found[name][draw].float(), expected)


def test_even_attention_gives_every_draw_what_chance_gives():
    even = einops.repeat(head_patterns.even(LENGTH), "query key -> 3 1 2 query key").float()
    chance = head_patterns.score(even, head_patterns.mass(induction.targets(TOKENS, FIRST)))
    drawn = mass(even, TOKENS, null_patterns.turns(20, LENGTH, seeded()))
    torch.testing.assert_close(drawn, chance.expand(20, 1, 2), atol=1e-6, rtol=0)


def test_a_perfect_induction_head_is_beyond_chance():
    tokens = TOKENS[1:]
    perfect = head_patterns.perfect(induction.targets(tokens, FIRST))[:, None, None].float()
    drawn = mass(perfect, tokens, null_patterns.turns(200, LENGTH, seeded()))
    assert (drawn < 1 - 1e-6).double().mean() > 0.99


@pytest.mark.parametrize("at_once", [1, 1000])
def test_parts_of_a_set_add_up(at_once, monkeypatch):
    turns = null_patterns.turns(7, LENGTH, seeded())
    whole = null_patterns.matches(patterns(), TOKENS, FIRST, turns)
    monkeypatch.setattr(null_patterns, "AT_ONCE", at_once)
    parts = [null_patterns.matches(patterns()[[b]], TOKENS[[b]], FIRST, turns) for b in range(3)]
    for name, expected in whole.items():
        torch.testing.assert_close(sum(part[name] for part in parts), expected, atol=1e-5, rtol=0)


def test_a_sentence_without_repeats_has_none_to_look_for():
    tokens = torch.arange(LENGTH)[None]
    found = null_patterns.matches(patterns(1), tokens, FIRST, null_patterns.turns(2, LENGTH, seeded()))
    assert all((sums == 0).all() for sums in found.values())


def test_sentences_that_change_places_have_the_moments_of_all_their_orders():
    matches = torch.rand(4, 4, 2, 3, generator=seeded(), dtype=torch.float64)
    sums = torch.stack([matches[torch.arange(4), list(order)].sum(0) for order in permutations(range(4))])
    mean, deviation = null_patterns.exchanged(matches)
    torch.testing.assert_close(mean, sums.mean(0))
    torch.testing.assert_close(deviation, sums.std(0, correction=0))


def test_where_a_head_goes_by_position_alone_no_order_of_sentences_differs():
    mean, deviation = null_patterns.exchanged(torch.ones(4, 1, 1, 1, dtype=torch.float64).expand(4, 4, 1, 1) * 0.2)
    assert (mean.item(), deviation.item()) == (pytest.approx(0.8), pytest.approx(0, abs=1e-12))
    assert null_patterns.exchanged(torch.ones(1, 1, 1, 1, dtype=torch.float64))[1].isnan().all()
