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


NEAR = torch.tensor([[-1, -1], [2, 3], [3, 1], [1, 2], [5, 6], [6, 4], [4, 5], [1, 2], [1, 2], [1, 2]])


def renamed(pattern, draws, tokens=TOKENS, batch=2):
    return null_patterns.renamed(iter(pattern.split(batch)), tokens, FIRST, NEAR, draws, seeded())


def dense(pattern, names):
    """Attention, less its mean over sentences, to what follows tokens whose name is near the query's, one by one."""
    pattern, total = pattern.double() - pattern.double().mean(0), torch.zeros(2, 3, dtype=torch.float64)
    for b, sentence in enumerate(TOKENS.tolist()):
        for query in range(LENGTH):
            for key in range(FIRST + 1, query + 1):
                asked = [names.get(token, token) for token in NEAR[sentence[query]].tolist()]
                if sentence[key - 1] in asked and sentence[key - 1] != sentence[query]:
                    total += pattern[b, :, :, query, key]
    return total


def test_tokens_that_keep_their_names_give_the_attention_to_what_follows_near_ones():
    as_they_are, _ = renamed(patterns(), 1)
    torch.testing.assert_close(as_they_are, dense(patterns(), {}), atol=1e-6, rtol=1e-6)
    targets = induction.near_targets(TOKENS, FIRST, NEAR)
    apart = patterns() - patterns().mean(0)
    expected = head_patterns.match(apart, [head_patterns.mass(targets)])[0].sum(0)
    torch.testing.assert_close(as_they_are, expected, atol=1e-6, rtol=1e-6)


def test_renamed_tokens_are_every_order_of_those_that_come_as_often():
    """1 comes 8 times, 2 five times, each other token two or three times: all orders of these, and no others."""
    assert TOKENS[:, FIRST:].unique(return_counts=True)[1].tolist() == [8, 5, 3, 3, 3, 2]
    orders = [dict(zip((3, 4, 5, 6), order, strict=True)) for order in permutations((3, 4, 5, 6))]
    expected = torch.stack([dense(patterns(), names) for names in orders]).flatten(1)
    _, drawn = renamed(patterns(), 400)
    apart = (drawn.flatten(1)[:, None] - expected).abs().amax(-1)
    assert apart.amin(1).max() < 1e-5
    assert apart.amin(0).max() < 1e-5


def test_draws_of_names_stay_among_those_as_frequent_and_give_no_name_twice():
    counts = torch.tensor([8, 3, 15, 2, 1, 9, 3])
    names = null_patterns.renamings(counts, 50, seeded())
    assert (names.sort(-1).values == torch.arange(7)).all()
    assert ((counts[names].log2().floor() == counts.log2().floor()).all()) & (names[:, 4] == 4).all()
    assert len(names.unique(dim=0)) > 20


def test_names_of_tokens_that_are_near_none_find_nothing():
    as_they_are, drawn = null_patterns.renamed([patterns()], TOKENS, FIRST, torch.full((10, 2), -1), 3, seeded())
    assert not as_they_are.any()
    assert not drawn.any()


def test_where_a_head_goes_by_position_alone_no_name_differs():
    everywhere = patterns(1).expand(3, -1, -1, -1, -1)
    for sums in renamed(everywhere, 20):
        assert sums.abs().max() < 1e-5
