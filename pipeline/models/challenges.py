"""Sequences on which a head that goes by position, or by habit, parts from one that goes by content."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import einops
import torch
from jaxtyping import Int
from torch import Generator, Tensor
from torch.nn import functional

from pipeline.models.sequences import Copies, with_copies

Draw = Callable[[Tensor, Generator], Tensor]


@dataclass(frozen=True)
class Recipe:
    """How the sequences of one challenge at one level are made."""

    challenge: str
    level: int
    pool: Int[Tensor, " token"]  # ids that are drawn from
    distinct: int  # tokens of the pool that a sequence needs, all different
    length: int  # tokens of a sequence, but for the begin token
    least: int  # the shortest such length on which anything repeats
    draw: Draw  # from the distinct tokens [batch, distinct] to sequences [batch, position], without the begin token
    begin: int | None  # the token that leads; None for none

    @property
    def misfit(self) -> str | None:
        """What keeps the recipe from being followed; None if nothing does."""
        if self.length < self.least:
            return f"{self.least} tokens do not fit into {self.length}"
        if self.distinct > len(self.pool):
            return f"{self.distinct} distinct tokens asked of {len(self.pool)}"
        return None


@dataclass(frozen=True)
class Sizes:
    """The levels of every challenge, in tokens."""

    n_ctx: int  # of a sequence, the begin token included
    segment: int  # copied, where the level is something else
    periods: Sequence[int]  # length of a block that is repeated without gaps
    lengths: Sequence[int]  # of the sequence, the begin token included
    gaps: Sequence[int]  # largest between two copies; each gap is uniform from 0 on


def recipes(
    sizes: Sizes, counts: Int[Tensor, " d_vocab"], text: Int[Tensor, " token"], begin: int | None
) -> Iterator[Recipe]:
    """Yield every challenge there is.

    Args:
        sizes: the levels.
        counts: how often training held each token.
        text: ids of tokens that stand for text.
        begin: the begin token; None if sequences have none, and then none can be left out.
    """
    front = int(begin is not None)
    room, segment = sizes.n_ctx - front, sizes.segment
    ranked = text[counts[text].argsort(stable=True)]
    known, unknown = ranked[counts[ranked] > 0], ranked[counts[ranked] == 0]
    block = partial(periodic, length=room)
    for period in sizes.periods:
        yield Recipe("period", period, known, period, room, 2 * period, block, begin)
    one_copy = partial(copied, copies=Copies(1.0, segment, segment))
    for length in sizes.lengths:
        yield Recipe("length", length, known, length - front, length - front, 2 * segment, one_copy, begin)
    for gap in sizes.gaps:
        draw = partial(jittered, segment=segment, gap=gap)
        yield Recipe("gap", gap, known, room, room, 2 * (segment + gap), draw, begin)
    if begin is not None:
        yield Recipe("no_begin", segment, known, segment, room, 2 * segment, block, None)
    yield Recipe("ambiguous", 1, known, 4 * (room // 6), room, 6, ambiguous, begin)
    yield Recipe("ambiguous", 2, known, 6 * (room // 9), room, 18, told_apart, begin)
    for level, pool in enumerate((unknown, *known.tensor_split(3))):
        yield Recipe("frequency", level, pool, segment, room, 2 * segment, block, begin)


def drawn(recipe: Recipe, rows: int, generator: Generator) -> Int[Tensor, "{rows} position"]:
    """Follow a recipe: return the ids of so many sequences.

    Raises:
        ValueError: the recipe has a misfit.
    """
    if recipe.misfit:
        raise ValueError(f"{recipe.challenge} {recipe.level}: {recipe.misfit}; lower the level")
    order = torch.rand((rows, len(recipe.pool)), generator=generator).argsort(dim=1)
    body = recipe.draw(recipe.pool[order[:, : recipe.distinct]], generator)
    return body if recipe.begin is None else functional.pad(body, (1, 0), value=recipe.begin)


def periodic(tokens: Int[Tensor, "batch period"], generator: Generator, length: int) -> Int[Tensor, "batch {length}"]:
    """Repeat each row without gaps; the last repeat may be cut."""
    return tokens[:, torch.arange(length) % tokens.shape[1]]


def copied(
    tokens: Int[Tensor, "batch position"], generator: Generator, copies: Copies
) -> Int[Tensor, "batch position"]:
    """Copy a segment of each row to a later place of it, both at random."""
    return with_copies(tokens, copies, None, generator)[0]


def jittered(
    tokens: Int[Tensor, "batch position"], generator: Generator, segment: int, gap: int
) -> Int[Tensor, "batch position"]:
    """Repeat the row's first `segment` tokens over and over, with random gaps between, filled by its other tokens.

    Args:
        tokens: ids, distinct in each row.
        generator: decides the gaps, also the one before the first copy: each uniform in 0 ... gap.
        segment: tokens in a copy.
        gap: the largest gap, tokens.

    Returns:
        Ids; the last copy may be cut.
    """
    rows, length = tokens.shape
    gaps = torch.randint(gap + 1, (rows, length // segment + 1), generator=generator)
    starts = gaps.cumsum(1) + segment * torch.arange(gaps.shape[1])
    position = einops.repeat(torch.arange(length), "position -> row position", row=rows).contiguous()
    copy = torch.searchsorted(starts, position, right=True) - 1  # -1 before the first
    place = position - starts.gather(1, copy.clamp(min=0))
    inside = (copy >= 0) & (place < segment)
    fill = segment + (~inside).cumsum(1) - 1  # the next token that no copy used
    return tokens.gather(1, torch.where(inside, place, fill))


def ambiguous(tokens: Int[Tensor, "batch distinct"], generator: Generator) -> Int[Tensor, "batch position"]:
    """Lay out `A B` for many A, then `A C`, then `A D`, every time in a new order: at the third A, B and C compete."""
    a, b, c, d = tokens.chunk(4, dim=1)
    return passes([(a, b), (a, c), (a, d)], generator)


def told_apart(tokens: Int[Tensor, "batch distinct"], generator: Generator) -> Int[Tensor, "batch position"]:
    """Lay out `A B X` for many A B X, then `C B Y`, then `A B D` or `C B D`: at the third B, its neighbour tells."""
    a, b, x, c, y, d = tokens.chunk(6, dim=1)
    context = torch.where(torch.rand(a.shape, generator=generator) < 0.5, a, c)
    return passes([(a, b, x), (c, b, y), (context, b, d)], generator)


def passes(groups: list[tuple[Int[Tensor, "batch group"], ...]], generator: Generator) -> Int[Tensor, "batch position"]:
    """Put groups of tokens in a row, each pass over them in a random order.

    Args:
        groups: of each pass, the tokens that come first, second ... in each group.
        generator: decides the orders, so that no fixed distance leads from one pass to the next.
    """
    laid_out = []
    for members in groups:
        order = torch.rand(members[0].shape, generator=generator).argsort(dim=1)
        shuffled = [member.gather(1, order) for member in members]
        laid_out.append(einops.rearrange(shuffled, "member row group -> row (group member)"))
    return torch.cat(laid_out, dim=1)
