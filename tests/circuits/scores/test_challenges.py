import pytest
import torch

from pipeline.circuits.scores.challenges import predictable, rivals
from pipeline.circuits.scores.induction import targets

# 0 begins; 1 is followed by 2, then by 3, then comes a third time; 5 4 6 and 7 4 8 before a last 7 4.
AMBIGUOUS = torch.tensor([[0, 1, 2, 9, 1, 3, 8, 1, 5], [0, 1, 2, 1, 3, 9, 6, 1, 7]])
TOLD_APART = torch.tensor([[0, 5, 4, 6, 7, 4, 8, 7, 4, 1], [0, 5, 4, 6, 7, 4, 8, 5, 4, 1]])
REPEATED = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 1, 4], [0, 4, 3, 9, 9, 3, 9, 4, 3]])


def followers(row, query):
    """Keys after an earlier occurrence of the query's token; position 0 is [BEGIN]."""
    return [key for key in range(2, query + 1) if row[key - 1] == row[query]]


def entries(tokens, chosen):
    mask = torch.zeros(*tokens.shape, tokens.shape[1], dtype=torch.bool)
    for sentence, row in enumerate(tokens.tolist()):
        for query in range(len(row)):
            for key in chosen(row, query):
                mask[sentence, query, key] = True
    return mask


def test_the_later_of_two_targets_is_the_recent_one():
    recent, earlier = rivals(AMBIGUOUS, targets(AMBIGUOUS, 1), 1)
    for place, rival in ((-1, recent), (0, earlier)):
        expected = entries(AMBIGUOUS, lambda row, q, at=place: [f[at]] if len(f := followers(row, q)) == 2 else [])
        assert rival.equal(expected)
    assert recent[0].nonzero().tolist() == [[7, 5]]
    assert earlier[0].nonzero().tolist() == [[7, 2]]


def test_the_token_before_tells_two_targets_apart():
    same_context, other_context = rivals(TOLD_APART, targets(TOLD_APART, 1), 2)
    assert same_context.nonzero().tolist() == [[0, 8, 6], [1, 8, 3]]
    assert other_context.nonzero().tolist() == [[0, 8, 3], [1, 8, 6]]


def test_queries_that_no_context_tells_apart_do_not_count():
    tokens = torch.tensor([[0, 5, 4, 6, 5, 4, 8, 5, 4, 1], [0, 5, 4, 6, 7, 4, 8, 9, 4, 1]])
    same_context, other_context = rivals(tokens, targets(tokens, 1), 2)
    assert not same_context.any()
    assert not other_context.any()


@pytest.mark.parametrize("tokens", [AMBIGUOUS, REPEATED])
def test_a_token_is_foretold_by_an_earlier_pair(tokens):
    foretold = predictable(tokens, targets(tokens, 1))
    for sentence, row in enumerate(tokens.tolist()):
        pairs = [tuple(row[place : place + 2]) for place in range(1, len(row) - 1)]
        expected = [place >= 2 and (row[place - 1], row[place]) in pairs[: place - 2] for place in range(len(row))]
        assert foretold[sentence].tolist() == expected
    assert tokens is not REPEATED or foretold.sum() == 5
