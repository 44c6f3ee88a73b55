import math

import pytest
import torch
from hand_wired import shifter_and_matcher

from pipeline.circuits.scores import head_patterns, induction
from pipeline.circuits.scores.head_patterns import detector_abs, detector_mul, entry_mean, even, mass, previous_token
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights


def repeated(block, repeats):
    """[BEGIN], then the tokens 1 ... block over and over."""
    return torch.tensor([[0, *list(range(1, block + 1)) * repeats]])


def perfect(tokens):
    """Attention spread evenly over all targets, found by plain search; without any, to oneself."""
    length = tokens.shape[1]
    pattern = torch.eye(length, dtype=torch.float64)
    for query in range(length):
        keys = [k for k in range(2, query + 1) if k - 1 < query and tokens[0, k - 1] == tokens[0, query]]
        if keys:
            pattern[query] = 0
            pattern[query, keys] = 1 / len(keys)
    return pattern[None, None, None]


def score(pattern, template):
    return head_patterns.score(pattern, template).item()


BLOCK, REPEATS = 25, 4
QUERIES = BLOCK * (REPEATS - 1)
PAIRS = BLOCK * sum(range(1, REPEATS))


@pytest.mark.parametrize("prefix", [1, 2, 3])
def test_longer_prefixes_have_fewer_targets_found_by_plain_search(prefix):
    tokens = torch.randint(1, 4, (3, 14), generator=torch.Generator().manual_seed(prefix))
    tokens[:, 0] = 0
    found = {tuple(place) for place in induction.targets(tokens, 1, prefix).nonzero().tolist()}
    assert found == {
        (sentence, query, end + 1)
        for sentence, row in enumerate(tokens.tolist())
        for query in range(14)
        for end in range(prefix, query)
        if row[end - prefix + 1 : end + 1] == row[query - prefix + 1 : query + 1]
    }
    assert found


def test_only_a_head_that_matches_more_gains_where_more_must_match():
    """After `1 2 5 ... 3 2 6 ... 1 2`: a plain head looks at 5 and 6 alike, one of two tokens at 5 alone."""
    tokens = torch.tensor([[0, 1, 2, 5, 3, 2, 6, 1, 2]])
    long = torch.eye(9).double()[None, None, None]
    long[..., 8, 8], long[..., 8, 3] = 0, 1
    two = mass(induction.targets(tokens, 1, prefix=2))
    assert two.weight.nonzero().tolist() == [[0, 8]]
    assert score(perfect(tokens), two) == pytest.approx(1 / 2)
    assert score(long, two) == pytest.approx(1)


def test_perfect_head_on_four_repeats():
    tokens = repeated(BLOCK, REPEATS)
    targets = induction.targets(tokens, first=1)
    assert targets.sum() == PAIRS
    assert targets.any(-1).sum() == QUERIES
    assert score(perfect(tokens), mass(targets)) == pytest.approx(1)
    assert score(perfect(tokens), entry_mean(targets)) == pytest.approx(QUERIES / PAIRS)
    # Repeat r has r - 1 targets a query, of which the latest gets its share.
    latest = sum(1 / (repeat - 1) for repeat in range(2, REPEATS + 1)) / (REPEATS - 1)
    assert score(perfect(tokens), induction.most_recent(targets)) == pytest.approx(latest)


def test_perfect_head_on_two_repeats():
    block = 50
    tokens = repeated(block, 2)
    targets, length = induction.targets(tokens, first=1), 2 * block + 1
    on_the_stripe = length - (block - 1)
    assert score(perfect(tokens), induction.stripe(tokens, block, targets)) == pytest.approx(block / on_the_stripe)
    assert score(perfect(tokens), detector_mul(targets)) == pytest.approx(block / length)
    assert score(perfect(tokens), detector_abs(targets)) == pytest.approx(block / length)


def test_targets_follow_an_earlier_occurrence():
    tokens = torch.tensor([[9, 4, 4, 7, 9, 4]])
    found = [(int(q), int(k)) for _, q, k in induction.targets(tokens, first=1).nonzero()]
    # Query 2 sees `4` at 1, so its target is itself; the `9` at 0 is [BEGIN] and follows nothing.
    assert found == [(2, 2), (5, 2), (5, 3)]
    assert (4, 1) in [(int(q), int(k)) for _, q, k in induction.targets(tokens, first=0).nonzero()]


def test_the_perfect_head_of_every_definition_is_the_same():
    tokens = repeated(5, 3)
    targets = induction.targets(tokens, first=1)
    templates = (mass(targets), induction.most_recent(targets), induction.stripe(tokens, 5, targets))
    away = 1 - torch.eye(16)  # `perfect` leaves rows without targets 0; the loop above has them look at themselves
    for template in templates:
        torch.testing.assert_close(head_patterns.perfect(template.role)[0] * away, perfect(tokens)[0, 0, 0] * away)


def test_the_most_recent_target_alone():
    tokens = torch.randint(0, 4, (3, 12), generator=torch.Generator().manual_seed(1))
    scores = torch.randn(3, 1, 1, 12, 12, generator=torch.Generator().manual_seed(2)).double()
    pattern = scores.masked_fill(torch.ones(12, 12).triu(1).bool(), -torch.inf).softmax(-1)
    latest = []
    for sentence in range(3):
        for query in range(12):
            keys = [k for k in range(1, query + 1) if tokens[sentence, k - 1] == tokens[sentence, query]]
            keys = [k for k in keys if k - 1 < query]
            latest += [pattern[sentence, 0, 0, query, max(keys)]] if keys else []
    found = score(pattern, induction.most_recent(induction.targets(tokens, first=0)))
    assert found == pytest.approx(sum(latest) / len(latest))


def test_chance_of_the_mass_counts_targets():
    tokens = repeated(5, 3)
    shares = [
        (query - 1) // 5 / (query + 1)  # as many targets as earlier repeats, among query + 1 keys
        for query in range(6, 16)
    ]
    expected = sum(shares) / len(shares)
    template = mass(induction.targets(tokens, first=1))
    assert score(even(16)[None, None, None], template) == pytest.approx(expected)


@pytest.mark.parametrize("gain", [0.0, 2.0, 6.0])
def test_network_wired_by_hand(gain):
    block, repeats = 7, 3
    tokens = repeated(block, repeats)
    trace = forward(shifter_and_matcher(block + 1, tokens.shape[1], gain), tokens)
    shifter = head_patterns.score(trace.pattern, mass(previous_token(tokens)))[0, 0]
    matcher = head_patterns.score(trace.pattern, mass(induction.targets(tokens, first=1)))[1, 0]
    expected = []
    for query in range(block + 1, tokens.shape[1]):
        targets = (query - 1) // block
        raised = targets * math.exp(gain)
        expected.append(raised / (raised + query + 1 - targets))
    assert shifter.item() == pytest.approx(1)
    assert matcher.item() == pytest.approx(sum(expected) / len(expected))


def test_the_prefix_circuit_is_the_sum_over_earlier_heads_of_what_they_carry():
    generator = torch.Generator().manual_seed(3)
    random = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    tall = {name: random(3, 2, 6, 2) for name in ("W_Q", "W_K", "W_V")}
    weights = Weights("none", random(9, 6), random(6, 9), W_O=random(3, 2, 2, 6), **tall)
    previous = torch.tensor([[0.9, 0.1], [0.3, 0.0]])
    carried = sum(induction.shifted(weights, layer, previous[layer]) for layer in range(2))
    (first, after_one), (last, after_two) = induction.carried(weights, previous)
    assert (first, last) == (1, 2)
    torch.testing.assert_close(after_one, induction.shifted(weights, 0, previous[0]))
    torch.testing.assert_close(after_two, carried)
    rows, columns = induction.prefix_circuit(weights, carried, (2, 1))
    expected = 0
    for layer in range(2):
        for head in range(2):
            copied = weights.W_E @ weights.W_V[layer, head] @ weights.W_O[layer, head] @ weights.W_K[2, 1]
            expected = expected + previous[layer, head] * weights.W_E @ weights.W_Q[2, 1] @ copied.mT
    torch.testing.assert_close(rows @ columns.mT, expected)


def test_the_prefix_circuit_of_the_network_wired_by_hand_is_the_identity():
    d_vocab, gain = 8, 2.0
    weights = shifter_and_matcher(d_vocab, 22, gain)
    carried = induction.shifted(weights, 0, torch.ones(1))
    rows, columns = induction.prefix_circuit(weights, carried, (1, 0))
    # The score of a match is divided by sqrt(d_head), the circuit is not.
    torch.testing.assert_close(rows @ columns.mT, gain * math.sqrt(22) * torch.eye(d_vocab, dtype=torch.float64))


def test_the_nearest_tokens_are_those_of_the_smallest_angle_but_the_token_itself():
    """However long they are; tokens nobody asks for have none."""
    angles = torch.tensor([0.0, 0.1, 0.25, 2.0, 2.1]).double()
    W_E = torch.stack([angles.cos(), angles.sin()], -1) * torch.tensor([1.0, 5.0, 0.2, 1.0, 3.0]).double()[:, None]
    found = induction.nearest(W_E, torch.tensor([0, 2, 3, 4]), near=2, tile=3)
    assert found.tolist() == [[1, 2], [-1, -1], [1, 0], [4, 2], [3, 2]]
    assert induction.nearest(W_E, torch.arange(5), near=9, tile=5).shape == (5, 4)


def test_near_targets_follow_near_tokens_and_not_the_query_s_own():
    near = torch.tensor([[-1, -1], [2, 3], [1, 3], [2, 1], [5, 1], [4, 2]])
    tokens = torch.tensor([[0, 1, 5, 2, 4, 1, 3, 1]])
    found = induction.near_targets(tokens, 1, near).nonzero().tolist()
    expected = [
        [0, query, key]
        for query in range(8)
        for key in range(2, query + 1)
        if tokens[0, key - 1] in near[tokens[0, query]]
    ]
    assert found == expected
    assert [0, 5, 4] in found  # the second 1 looks at 4, which followed the near 2 ...
    assert [0, 7, 2] not in found  # ... and the third not at 5, which followed a 1
