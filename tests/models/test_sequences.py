from collections import Counter

import pytest
import torch
from torch import Generator
from torch.nn import functional

from pipeline.circuits.scores.challenges import predictable
from pipeline.circuits.scores.induction import targets
from pipeline.models.sequences import (
    COPY_START,
    FIRST_COPY,
    OTHER,
    SECOND_COPY,
    Copies,
    joined,
    natural_repeats,
    periodic_rows,
    text_rows,
    windows,
    with_copies,
)


def generator(seed=0):
    return Generator().manual_seed(seed)


def test_documents_are_joined_and_closed():
    assert joined([[5, 6], [7]], end=1).tolist() == [5, 6, 1, 7, 1]
    assert joined([[5, 6], [7]], end=None).tolist() == [5, 6, 7]


@pytest.mark.parametrize("begin", [0, None])
def test_text_rows_are_windows_of_the_text(begin):
    stream = torch.arange(100, 120)  # consecutive numbers: a window is known by its first
    rows = text_rows(stream, rows=300, n_ctx=6, begin=begin, generator=generator())
    assert rows.shape == (300, 6)
    body = rows if begin is None else rows[:, 1:]
    assert (body.diff(dim=1) == 1).all()
    assert begin is None or (rows[:, 0] == begin).all()
    # every place is drawn, the first and the last that fit among them
    assert set(body[:, 0].tolist()) == set(range(100, 120 - body.shape[1] + 1))


def test_a_text_shorter_than_a_window_is_refused():
    with pytest.raises(ValueError, match="3 tokens, fewer than the 7"):
        text_rows(torch.arange(3), rows=1, n_ctx=8, begin=0, generator=generator())


@pytest.mark.parametrize("begin", [0, None])
def test_windows_are_the_whole_text_cut_up_and_shuffled(begin):
    length = 6 - (begin is not None)
    rows = windows(torch.arange(100, 100 + 50 * length + 3), n_ctx=6, begin=begin, generator=generator())
    assert begin is None or (rows[:, 0] == begin).all()
    body = rows if begin is None else rows[:, 1:]
    assert body.sort(dim=0).values.ravel().tolist() == [*range(100, 100 + 50 * length)]  # and not the 3 that are left
    assert body[:, 0].tolist() != sorted(body[:, 0].tolist())


def test_of_a_text_shorter_than_a_window_there_is_none():
    assert windows(torch.arange(3), n_ctx=8, begin=0, generator=generator()).shape == (0, 8)


@pytest.mark.parametrize("begin", [0, None])
def test_copies_repeat_their_segment_and_touch_nothing_else(begin):
    tokens = torch.arange(1000, 1000 + 500 * 20).reshape(500, 20)
    if begin is not None:
        tokens[:, 0] = begin
    rows, classes = with_copies(tokens, Copies(1.0, 2, 7), begin, generator())
    lengths, distances = set(), set()
    for row, original, kind in zip(rows, tokens, classes, strict=True):
        first, second = (kind == FIRST_COPY).nonzero().ravel(), (kind >= SECOND_COPY).nonzero().ravel()
        assert len(first) == len(second)
        assert (kind == COPY_START).nonzero().tolist() == [[second[0]]]
        assert second[0] > first[-1]
        assert torch.equal(row[second], original[first])
        assert torch.equal(row[kind < SECOND_COPY], original[kind < SECOND_COPY])
        assert begin is None or kind[0] == OTHER
        lengths.add(len(first))
        distances.add(int(second[0] - first[0]))
    assert lengths == set(range(2, 8))
    assert min(distances) == 2
    assert len(distances) > 10


@pytest.mark.parametrize("begin", [0, None])
def test_second_copies_are_what_an_earlier_token_foretells(begin):
    first = int(begin is not None)
    drawn = with_copies(torch.arange(20).repeat(200, 1), Copies(0.8, 2, 7), begin, generator())
    for rows, classes in (drawn, periodic_rows(torch.arange(1, 9), 40, 20, 5, begin, generator())):
        assert torch.equal(classes == SECOND_COPY, predictable(rows, targets(rows, first)))


def places(classes):
    """Length and distance of the copy in each row that has one."""
    return [
        (int((row == FIRST_COPY).sum()), int((row == COPY_START).int().argmax() - (row == FIRST_COPY).int().argmax()))
        for row in classes
        if (row == COPY_START).any()
    ]


@pytest.mark.parametrize("begin", [0, None])
def test_no_copy_lies_at_a_distance_held_out_and_all_others_are_as_likely(begin):
    n_ctx = 20 + (begin is not None)
    _, classes = with_copies(torch.zeros(40_000, n_ctx).long(), Copies(1.0, 4, 9, (5, 7)), begin, generator())
    count = Counter(places(classes))
    expected = {}
    for length in range(4, 10):
        distances = [distance for distance in range(length, 20 - length + 1) if distance % 5 and distance % 7]
        expected |= {(length, distance): 40_000 / 6 / len(distances) for distance in distances}
    assert set(count) == set(expected)
    # five standard deviations of a count
    assert all(abs(count[place] - mean) <= 5 * mean**0.5 for place, mean in expected.items())


def test_a_length_that_fits_only_where_copies_are_held_out_is_not_drawn():
    _, classes = with_copies(torch.zeros(500, 12).long(), Copies(1.0, 4, 6, (3,)), None, generator())
    # of 6 tokens, a copy lies 6 away, a multiple of 3
    assert set(places(classes)) == {(4, 4), (4, 5), (4, 7), (4, 8), (5, 5), (5, 7)}


def test_segments_that_fit_nowhere_else_are_refused():
    with pytest.raises(ValueError, match=r"of 6 to 6 tokens fit into 12 only at .* \(6 and their multiples\)"):
        with_copies(torch.zeros(5, 12).long(), Copies(1.0, 6, 9, (6,)), None, generator())


def test_without_distances_held_out_rows_are_those_of_a_draw_that_knows_none():
    tokens, copies = torch.arange(2000 * 30).reshape(2000, 30), Copies(0.7, 3, 11)
    rows, _ = with_copies(tokens, copies, 0, generator(4))
    drawn = generator(4)
    share = [torch.rand((2000, 1), generator=drawn, dtype=torch.float64) for _ in range(3)]
    length = (3 + share[0] * 9).long()
    distance = length + (share[1] * (29 - 2 * length + 1)).long()
    start = (1 + share[2] * (30 - distance - length)).long()
    chosen = torch.rand((2000, 1), generator=drawn) < 0.7
    expected = tokens.clone()
    for row in range(2000):
        if chosen[row]:
            first, second = int(start[row]), int(start[row] + distance[row])
            expected[row, second : second + length[row]] = tokens[row, first : first + length[row]]
    assert torch.equal(rows, expected)


def test_the_share_of_copied_rows_is_as_asked():
    tokens = torch.arange(4000 * 10).reshape(4000, 10)
    for fraction in (0.0, 0.25, 1.0):
        _, classes = with_copies(tokens, Copies(fraction, 2, 4), None, generator())
        share = (classes == SECOND_COPY).any(1).double().mean()
        # four standard errors of a share of 4000 rows
        assert abs(share - fraction) <= 4 * (fraction * (1 - fraction) / 4000) ** 0.5


def test_a_segment_too_long_for_the_row_is_shortened():
    tokens = torch.arange(50 * 9).reshape(50, 9)
    _, classes = with_copies(tokens, Copies(1.0, 30, 40), 0, generator())
    assert ((classes == FIRST_COPY).sum(1) == 4).all()


@pytest.mark.parametrize("begin", [0, None])
@pytest.mark.parametrize(
    ("row", "classes"),
    [
        # 5 6 7 8 comes again: its first token nothing foretells
        ("1 5 6 7 8 2 5 6 7 8 3", ". f f f f . c s s s ."),
        # three times: the second time repeats, and is not itself a first
        ("5 6 7 1 5 6 7 2 5 6 7", "f f f . c s s . c s s"),
        # two tokens are too few
        ("5 6 1 2 5 6 3 4 5 6 9", ". . . . . . . . . . ."),
        # a block over and over: what overlaps with what it repeats does so in longer runs only
        ("5 6 7 5 6 7 5 6 7 5 6", "f f f c s s s s s s s"),
        # three of one token, and the same three again
        ("5 5 5 5 5 5 1 2 3 4 6", "f f f c s s . . . . ."),
        # a repeat of 7 8 9 that begins within one of 5 6 7 8 goes on
        ("5 6 7 8 1 7 8 9 5 6 7 8 9", "f f f f . f f f c s s s s"),
    ],
)
def test_natural_repeats_are_those_that_are_there(row, classes, begin):
    tokens = torch.tensor([[int(token) for token in row.split()]])
    expected = [{".": OTHER, "f": FIRST_COPY, "s": SECOND_COPY, "c": COPY_START}[letter] for letter in classes.split()]
    if begin is not None:
        tokens, expected = functional.pad(tokens, (1, 0), value=begin), [OTHER, *expected]
    assert natural_repeats(tokens, 3, begin).tolist() == [expected]


def by_loops(row, least):
    """Classes of one row: every pair of equal places is followed as far as it goes."""
    repeats, foretold, repeated = set(), set(), set()
    for late in range(len(row)):
        for early in range(late - least + 1):
            if early and row[early - 1] == row[late - 1]:
                continue  # not where the run begins
            length = 0
            while late + length < len(row) and row[early + length] == row[late + length]:
                length += 1
            if length >= least:
                repeats |= {*range(late, late + length)}
                foretold |= {*range(late + 1, late + length)}
                repeated |= {*range(early, early + length)}
    order = ((foretold, SECOND_COPY), (repeats, COPY_START), (repeated, FIRST_COPY))
    return [next((kind for places, kind in order if place in places), OTHER) for place in range(len(row))]


def test_natural_repeats_are_found_wherever_they_are():
    rows = torch.randint(3, (300, 25), generator=generator())  # three tokens, so that much repeats
    for least in (2, 3, 5):
        assert natural_repeats(rows, least, None).tolist() == [by_loops(row, least) for row in rows.tolist()]


def test_a_row_too_short_to_repeat_anything_does_not():
    assert (natural_repeats(torch.ones(2, 7).long(), 4, None) == OTHER).all()


@pytest.mark.parametrize("begin", [0, None])
def test_periodic_rows_repeat_distinct_tokens(begin):
    candidates = torch.tensor([3, 5, 8, 9, 11])
    rows, classes = periodic_rows(candidates, 40, 12, 4, begin, generator())
    body = rows if begin is None else rows[:, 1:]
    for row in body:
        assert len(set(row[:4].tolist())) == 4
        assert set(row.tolist()) <= set(candidates.tolist())
    assert torch.equal(body[:, 4:], body[:, :-4])
    start = 0 if begin is None else 1
    expected = [OTHER] * start + [FIRST_COPY] * 4 + [COPY_START] + [SECOND_COPY] * (7 - start)
    assert classes.tolist() == [expected] * 40


def test_a_block_longer_than_the_candidates_is_refused():
    with pytest.raises(ValueError, match="as many candidates, not 3"):
        periodic_rows(torch.arange(3), 1, 12, 4, None, generator())


def test_equal_generators_draw_equal_sequences():
    tokens = torch.arange(200).reshape(10, 20)
    first, second = (with_copies(tokens, Copies(0.5, 2, 7), 0, generator(9))[0] for _ in range(2))
    assert torch.equal(first, second)
