import math

import pytest
import torch

from pipeline.circuits.scores import head_patterns
from pipeline.circuits.scores.head_patterns import (
    detector_abs,
    detector_mul,
    entry_mean,
    even,
    mass,
    match,
    perfect,
    score,
)


def random_pattern(batch, length, seed=0):
    """Causal attention of 2 layers of 3 heads, rows summing to 1."""
    scores = torch.randn(batch, 2, 3, length, length, generator=torch.Generator().manual_seed(seed))
    future = torch.ones(length, length).triu(1).bool()
    return scores.double().masked_fill(future, -torch.inf).softmax(-1)


def of_all(pattern):
    """One pattern [query, key] or [batch, query, key] as that of the only head of the only layer."""
    return pattern.expand(2, *pattern.shape[-2:])[:, None, None]


def test_entropy_is_that_of_even_attention_or_none():
    assert head_patterns.entropy_share(even(6)).item() == pytest.approx(1)
    assert head_patterns.entropy_share(torch.eye(6)).item() == 0
    # Half on either of two keys, where there are two or more: log 2 five times.
    halves = torch.eye(6) / 2 + torch.eye(6).roll(-1, 1).tril(-1) / 2
    halves[0, 0] = 1
    expected = 5 * math.log(2) / sum(math.log(n) for n in range(1, 7))
    assert head_patterns.entropy_share(halves.double()).item() == pytest.approx(expected)


def test_distance_counts_positions_back_and_has_no_role():
    template = head_patterns.distance(TOKENS)
    assert template.role is None
    back = of_all(torch.eye(6).roll(-1, 1).tril(-1).double())
    assert score(back, template).item() == pytest.approx(5 / 6)
    assert score(of_all(even(6)), template).item() == pytest.approx(sum(q / 2 for q in range(6)) / 6)


TOKENS = torch.tensor([[5, 1, 5, 2, 1, 5], [3, 4, 6, 7, 3, 3]])

# The keys of each role, said query by query.
KEYS = {
    "previous_token": lambda tokens, q: [q - 1] if q else [],
    "current_token": lambda tokens, q: [q],
    "first_token": lambda tokens, q: [0] if q else [],
    "duplicate_token": lambda tokens, q: [k for k in range(q) if tokens[k] == tokens[q]],
}


def rows_and_keys(name, pattern):
    """Every query's attention [layer, head, key] with the keys of its role."""
    for sentence, tokens in enumerate(TOKENS):
        for query in range(len(tokens)):
            yield pattern[sentence, :, :, query], KEYS[name](tokens, query)


@pytest.mark.parametrize("name", KEYS)
def test_definitions_agree_with_their_words(name):
    pattern = random_pattern(*TOKENS.shape)
    masses, entries, shares, distances = [], [], [], []
    for row, keys in rows_and_keys(name, pattern):
        wanted = torch.zeros(row.shape[-1], dtype=torch.float64)
        wanted[keys] = 1
        shares.append(row[..., keys].sum(-1))
        distances.append((row - wanted).abs().sum(-1))
        entries += list(row[..., keys].unbind(-1))
        masses += [shares[-1]] if keys else []
    mean = lambda values: torch.stack(values).mean(0)  # noqa: E731
    role = getattr(head_patterns, name)(TOKENS)
    torch.testing.assert_close(score(pattern, mass(role)), mean(masses))
    torch.testing.assert_close(score(pattern, entry_mean(role)), mean(entries))
    torch.testing.assert_close(score(pattern, detector_mul(role)), mean(shares))
    torch.testing.assert_close(score(pattern, detector_abs(role)), 1 - mean(distances))


@pytest.mark.parametrize("name", KEYS)
def test_a_perfect_head_spends_all_its_attention_where_the_role_says(name):
    role = getattr(head_patterns, name)(TOKENS)
    found = of_all(perfect(role))
    assert score(found, mass(role)).item() == pytest.approx(1)
    with_keys = [len(keys) for _, keys in rows_and_keys(name, found) if keys]
    assert score(found, entry_mean(role)).item() == pytest.approx(len(with_keys) / sum(with_keys))
    assert score(found, detector_mul(role)).item() == pytest.approx(len(with_keys) / TOKENS.numel())
    # A query with m keys gives each 1/m and lacks (m - 1)/m at each; one without any is wrong about all it gives.
    lost = sum(keys - 1 for keys in with_keys) + TOKENS.numel() - len(with_keys)
    assert score(found, detector_abs(role)).item() == pytest.approx(1 - lost / TOKENS.numel())


def test_even_attention_gives_the_chance_level():
    length = 50
    tokens = torch.arange(length).expand(2, -1)
    harmonic = sum(1 / n for n in range(1, length + 1))
    before, itself = head_patterns.previous_token(tokens), head_patterns.current_token(tokens)
    assert score(of_all(even(length)), mass(before)).item() == pytest.approx((harmonic - 1) / (length - 1))
    assert score(of_all(even(length)), mass(itself)).item() == pytest.approx(harmonic / length)


def test_sentences_add_up():
    pattern = random_pattern(2, 6)
    template = mass(head_patterns.duplicate_token(TOKENS))
    first, second = match(pattern, [template])[0]
    assert template.weight.sum(-1).tolist() == [3, 2]  # queries with an earlier copy
    torch.testing.assert_close(score(pattern, template), (first + second) / 5)
    alone = mass(head_patterns.duplicate_token(TOKENS[:1]))
    torch.testing.assert_close(score(pattern[:1], alone), first / 3)


def test_without_an_eligible_query_the_score_is_undefined():
    template = mass(head_patterns.duplicate_token(torch.arange(6)[None]))
    assert score(random_pattern(1, 6), template).isnan().all()


def test_without_the_first_key_each_row_is_what_is_left_of_it_over_its_sum():
    pattern = random_pattern(2, 5)
    rest, counts = head_patterns.without_first(pattern)
    assert counts.all()
    torch.testing.assert_close(rest, pattern[..., 1:, 1:] / (1 - pattern[..., 1:, :1]))


def test_a_row_that_rests_on_the_first_key_wholly_does_not_count():
    """But one of which a little is left does, however little: it has all its digits."""
    rows = torch.tensor([[1.0, 0, 0], [1, 0, 0], [1, 1e-30, 3e-30]])
    rest, counts = head_patterns.without_first(rows[None, None, None])
    assert counts.squeeze().tolist() == [False, True]
    torch.testing.assert_close(rest.squeeze(), torch.tensor([[0, 0], [0.25, 0.75]], dtype=torch.float64))
