from dataclasses import replace

import pytest
import torch
from torch import Generator

from pipeline.models.challenges import Sizes, ambiguous, drawn, jittered, recipes, told_apart

BEGIN, D_VOCAB, SEGMENT = 0, 90, 6
SIZES = Sizes(n_ctx=40, segment=SEGMENT, periods=(5, 9), lengths=(20, 50), gaps=(0, 7))
# Tokens 2 ... 9 never occur in training; the higher the id of the others, the more often.
COUNTS = torch.arange(D_VOCAB).where(torch.arange(D_VOCAB) >= 10, 0)
TEXT = torch.arange(2, D_VOCAB)


def sequences(begin=BEGIN, seed=0):
    generator = Generator().manual_seed(seed)
    challenges = recipes(SIZES, COUNTS, TEXT, begin)
    return {(recipe.challenge, recipe.level): drawn(recipe, 20, generator).tolist() for recipe in challenges}


def test_every_challenge_is_there_at_every_level():
    assert list(sequences()) == [
        *(("period", 5), ("period", 9), ("length", 20), ("length", 50), ("gap", 0), ("gap", 7)),
        *(("no_begin", SEGMENT), ("ambiguous", 1), ("ambiguous", 2), *(("frequency", level) for level in range(4))),
    ]


def test_sequences_begin_and_have_the_length_asked_for():
    for (challenge, level), rows in sequences().items():
        for row in rows:
            assert (row[0] == BEGIN) == (challenge != "no_begin")
            assert BEGIN not in row[1:]
            if challenge == "ambiguous":
                assert len(row) <= 40
            else:
                assert len(row) == {"length": level, "no_begin": 39}.get(challenge, 40)


def test_without_a_begin_token_there_is_none_to_leave_out():
    rows_of = sequences(begin=None)
    assert ("no_begin", SEGMENT) not in rows_of
    assert all(BEGIN not in row for rows in rows_of.values() for row in rows)


@pytest.mark.parametrize("period", [5, 9])
def test_a_block_of_distinct_tokens_is_repeated(period):
    for row in sequences()["period", period]:
        block = row[1 : 1 + period]
        assert len(set(block)) == period
        assert row[1:] == (block * 40)[:39]


@pytest.mark.parametrize("length", [20, 50])
def test_one_segment_has_one_copy_anywhere(length):
    distances = set()
    for row in sequences()["length", length]:
        twice = [place for place, token in enumerate(row) if token in row[:place]]
        first = row.index(row[twice[0]])
        assert twice == list(range(twice[0], twice[0] + SEGMENT))
        assert row[first : first + SEGMENT] == [row[place] for place in twice]
        distances.add(twice[0] - first)
    assert len(distances) > 5


@pytest.mark.parametrize("gap", [0, 7])
def test_copies_stand_at_random_distances(gap):
    tokens = torch.arange(200).expand(30, -1)  # 0 ... SEGMENT - 1 are the segment
    gaps = set()
    for row in jittered(tokens, Generator().manual_seed(1), SEGMENT, gap).tolist():
        place, fill = 0, SEGMENT
        while place < 200:
            before = place
            while place < 200 and row[place] == fill:  # what fills a gap is never used twice
                place, fill = place + 1, fill + 1
            gaps.add(place - before)
            copy = row[place : place + SEGMENT]
            assert copy == list(range(len(copy)))
            place += SEGMENT
    assert gaps == set(range(gap + 1))


def test_what_follows_is_ambiguous():
    k = 11
    rows = ambiguous(torch.arange(4 * k).expand(25, -1), Generator().manual_seed(2)).tolist()
    for row in rows:
        for turn in range(3):
            groups = [tuple(row[place : place + 2]) for place in range(2 * k * turn, 2 * k * (turn + 1), 2)]
            assert sorted(groups) == [(token, token + k * (turn + 1)) for token in range(k)]
    # From one occurrence of a token to its next, no distance is fixed.
    assert len({row.index(k) - row.index(2 * k) for row in rows}) > 10


def test_two_tokens_tell_the_continuations_apart():
    k = 7
    rows = told_apart(torch.arange(6 * k).expand(40, -1), Generator().manual_seed(3)).tolist()
    a, b, x, c, y, d = (range(k * place, k * (place + 1)) for place in range(6))
    contexts = []
    for row in rows:
        groups = [tuple(row[place : place + 3]) for place in range(0, 9 * k, 3)]
        assert sorted(groups[:k]) == list(zip(a, b, x, strict=True))
        assert sorted(groups[k : 2 * k]) == list(zip(c, b, y, strict=True))
        for context, token, last in groups[2 * k :]:
            assert token - b[0] == last - d[0] == (context - a[0]) % (3 * k)
            contexts.append(context in a)
    assert 0.3 < sum(contexts) / len(contexts) < 0.7


def test_strata_are_thirds_by_frequency_and_what_was_never_seen():
    rows_of = sequences()
    members = [{token for row in rows_of["frequency", level] for token in row[1:]} for level in range(4)]
    assert members[0] == set(range(2, 10))
    assert max(members[0]) < min(members[1]) <= max(members[1]) < min(members[2]) <= max(members[2]) < min(members[3])
    for name, rows in rows_of.items():
        assert name == ("frequency", 0) or not members[0] & {token for row in rows for token in row}


def test_the_same_generator_draws_the_same():
    assert sequences(seed=4) == sequences(seed=4) != sequences(seed=5)


@pytest.mark.parametrize(
    ("n_ctx", "text", "message"),
    [(40, 14, "period 5: 5 distinct tokens asked of 4"), (10, D_VOCAB, "period 5: 10 tokens do not fit into 9")],
)
def test_what_does_not_fit_is_refused(n_ctx, text, message):
    recipe = next(recipes(replace(SIZES, n_ctx=n_ctx), COUNTS, torch.arange(10, text), BEGIN))
    with pytest.raises(ValueError, match=message):
        drawn(recipe, 1, Generator())
