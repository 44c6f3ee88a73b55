"""Token sequences to train and to measure on, drawn from a torch.Generator."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor
from torch.nn import functional

OTHER, FIRST_COPY, SECOND_COPY, COPY_START = range(4)
TOKEN_CLASSES = ("other", "first_copy", "second_copy", "copy_start")


@dataclass(frozen=True)
class Copies:
    """How segments are copied within a sequence."""

    fraction: float  # share of sequences with a copied segment
    min_length: int  # tokens, of the segment
    max_length: int  # tokens, of the segment
    heldout_distances: tuple[int, ...] = ()  # tokens; no copy lies so far from its source, nor at a multiple


def joined(documents: Iterable[Sequence[int] | np.ndarray], end: int | None) -> Int[Tensor, " token"]:
    """Return all documents in a row, each closed by the end token if there is one."""
    tail = torch.tensor([] if end is None else [end], dtype=torch.int64)
    parts = [part for document in documents for part in (torch.tensor(document), tail)]
    return torch.cat([tail[:0], *parts]).long()


def text_rows(
    stream: Int[Tensor, " token"], rows: int, n_ctx: int, begin: int | None, generator: Generator
) -> Int[Tensor, "{rows} {n_ctx}"]:
    """Return windows of running text at random places, as ids.

    Args:
        stream: the text.
        rows: how many windows.
        n_ctx: tokens in each, the begin token included.
        begin: id put in front of each; None for nothing.
        generator: decides the places.

    Raises:
        ValueError: the text is shorter than a window.
    """
    length = n_ctx - (begin is not None)
    if len(stream) < length:
        raise ValueError(f"the text has {len(stream)} tokens, fewer than the {length} of one sequence; bring more text")
    start = torch.randint(len(stream) - length + 1, (rows, 1), generator=generator)
    return _begun(stream[start + torch.arange(length)], begin)


def windows(
    stream: Int[Tensor, " token"], n_ctx: int, begin: int | None, generator: Generator
) -> Int[Tensor, "window {n_ctx}"]:
    """Cut running text into windows that share no token, in random order; an end too short for one is left out.

    Args:
        stream: the text.
        n_ctx: tokens in each, the begin token included.
        begin: id put in front of each; None for nothing.
        generator: decides the order.
    """
    length = n_ctx - (begin is not None)
    bodies = stream[: len(stream) - len(stream) % length].view(-1, length)
    return _begun(bodies[torch.randperm(len(bodies), generator=generator)], begin)


def with_copies(
    tokens: Int[Tensor, "batch position"], copies: Copies, begin: int | None, generator: Generator
) -> tuple[Int[Tensor, "batch position"], Int[Tensor, "batch position"]]:
    """Copy a random segment of some rows to a later random place, over what was there.

    The length is uniform over all that fit at some distance that is not held out, the distance over all such that the
    length allows, the place over all where both fit: no fixed distance tells a copy.

    Args:
        tokens: ids.
        copies: how many rows, how long a segment, how far from its source it never lies; what does not fit twice is
            shortened.
        begin: the begin token, which is never copied; None if rows have none.
        generator: decides rows, lengths, gaps and places.

    Returns:
        The rows, and the class of each token: a copy's first token, which nothing foretells, is COPY_START, its others
        SECOND_COPY.

    Raises:
        ValueError: every distance at which a segment fits is held out.
    """
    rows, n_ctx = tokens.shape
    first = int(begin is not None)
    room = n_ctx - first

    def uniform(low: Tensor | int, high: Tensor | int) -> Tensor:
        return (low + torch.rand((rows, 1), generator=generator, dtype=torch.float64) * (high - low + 1)).long()

    longest = min(copies.max_length, room // 2)
    shortest = min(copies.min_length, longest)
    heldout = {multiple for distance in copies.heldout_distances for multiple in range(distance, room, distance)}
    lengths = [n for n in range(shortest, longest + 1) if not heldout.issuperset(range(n, room - n + 1))]
    if not lengths:
        raise ValueError(
            f"segments of {shortest} to {longest} tokens fit into {n_ctx} only at distances held out ("
            f"{', '.join(map(str, copies.heldout_distances))} and their multiples); hold out fewer, or copy less"
        )
    length = torch.tensor(lengths)[uniform(0, len(lengths) - 1)]
    skipped = torch.tensor(sorted(heldout), dtype=torch.int64)
    n_skipped = ((skipped >= length) & (skipped <= room - length)).sum(dim=1, keepdim=True)
    distance = length + uniform(0, room - 2 * length - n_skipped)
    for skip in skipped:  # in order, so that the n-th distance that is left moves up past each that is not
        distance += (skip >= length) & (skip <= distance)
    start = uniform(first, n_ctx - distance - length)
    chosen = torch.rand((rows, 1), generator=generator) < copies.fraction

    position = torch.arange(n_ctx)
    is_first = chosen & (position >= start) & (position < start + length)
    is_second = chosen & (position >= start + distance) & (position < start + distance + length)
    source = torch.where(is_second, position - distance, position)
    classes = torch.full_like(tokens, OTHER).masked_fill(is_first, FIRST_COPY).masked_fill(is_second, SECOND_COPY)
    return tokens.gather(1, source), classes.masked_fill(is_second & (position == start + distance), COPY_START)


def natural_repeats(
    tokens: Int[Tensor, "batch position"], least: int, begin: int | None
) -> Int[Tensor, "batch position"]:
    """Return the class of each token of rows that repeat themselves without any copy put in.

    A repeat is a run of `least` tokens or more, as long as can be, that equals what stands some distance before it; the
    distance is at least `least`, so that no `least` tokens in a row overlap with what they repeat. SECOND_COPY are all
    tokens of a repeat but its first, which nothing foretells and is COPY_START, unless it is within another repeat;
    FIRST_COPY what is in no repeat, but repeated by one; OTHER the rest.

    Args:
        tokens: ids.
        least: tokens in the shortest repeat.
        begin: the begin token, which repeats nothing; None if rows have none.
    """
    body = tokens[:, int(begin is not None) :]
    repeats, foretold, repeated = (torch.zeros_like(body, dtype=torch.bool) for _ in range(3))
    for distance in range(least, body.shape[1] - least + 1):
        runs = _runs(body[:, distance:] == body[:, :-distance], least)
        repeats[:, distance:] |= runs
        foretold[:, distance + 1 :] |= runs[:, 1:] & runs[:, :-1]
        repeated[:, :-distance] |= runs
    classes = torch.full_like(body, OTHER).masked_fill(repeated, FIRST_COPY).masked_fill(repeats, COPY_START)
    return _begun(classes.masked_fill(foretold, SECOND_COPY), None if begin is None else OTHER)


def _runs(true: Bool[Tensor, "batch place"], least: int) -> Bool[Tensor, "batch place"]:
    """Return what is true and has as many true in a row with it."""
    whole = functional.pad(true.unfold(1, least, 1).all(-1), (least - 1, least - 1))
    return whole.unfold(1, least, 1).any(-1)


def periodic_rows(
    candidates: Int[Tensor, " token"], rows: int, n_ctx: int, period: int, begin: int | None, generator: Generator
) -> tuple[Int[Tensor, "{rows} {n_ctx}"], Int[Tensor, "{rows} {n_ctx}"]]:
    """Repeat a block of distinct random tokens over and over.

    Args:
        candidates: ids to draw from.
        rows: how many sequences.
        n_ctx: tokens in each, the begin token included; the last block may be cut.
        period: tokens in the block.
        begin: id put in front of each; None for nothing.
        generator: decides the tokens.

    Returns:
        The rows, and the class of each token. The first block is FIRST_COPY; the next token, which only the period
        foretells and no earlier token, COPY_START; the rest SECOND_COPY.

    Raises:
        ValueError: there are fewer candidates than a block needs.
    """
    if len(candidates) < period:
        raise ValueError(f"a block of {period} distinct tokens needs as many candidates, not {len(candidates)}")
    position = torch.arange(n_ctx - (begin is not None))
    shuffled = torch.rand((rows, len(candidates)), generator=generator).argsort(dim=1)
    blocks = candidates[shuffled[:, :period]]
    classes = torch.where(position < period, FIRST_COPY, SECOND_COPY)
    classes = classes.masked_fill(position == period, COPY_START).expand(rows, -1)
    return _begun(blocks[:, position % period], begin), _begun(classes, None if begin is None else OTHER)


def _begun(rows: Tensor, begin: int | None) -> Tensor:
    """Return the rows with `begin` in front of each."""
    return rows if begin is None else torch.cat([torch.full((len(rows), 1), begin), rows], dim=1)
