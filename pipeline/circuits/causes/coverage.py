"""How much of a head is its role: what is left of its effect when it keeps only what the role explains.

A head's z at a query is the sum over keys of pattern * value. A role explains some of these edges. With those alone,
z is mean + sum over them of pattern * (value - mean): every other edge carries what the head's z is on average. As
rows of a pattern sum to 1, all edges give back the head, none its mean ablation, and what all values have in common,
which no attention could tell from a bias, does not matter. (It would, were the rest replaced by its own mean.)

Copying explains all edges, but of what each writes only the part along the direction that raises the logit of the
token attended to; the rest of what the head writes is at its mean. In the last layer this is all that the head says
for or against the tokens it looks at. What an earlier head feeds later ones counts as copying as far as they, too, read
it from that direction: a head that tells another one which token came before writes elsewhere, and copies nothing.

Position 0 sees one key alone and has no choice that a role could explain: its z stays as it is throughout.

Source: the ablation of McDougall et al. 2024, "Copy Suppression: Comprehensively Understanding a Motif in Language
Model Attention Heads", section 3.3, of one head of GPT-2; here of every head, role by role, and beside chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Generator, Tensor
from torch.nn import functional

from pipeline.circuits.causes.ablation import Change, resid_with
from pipeline.circuits.causes.class_means import resampled_means
from pipeline.circuits.resampling import derangement, interval
from pipeline.circuits.scores import head_patterns, induction
from pipeline.circuits.scores.head_patterns import Mask
from pipeline.circuits.transformer.forward import Trace, forward, unembed
from pipeline.circuits.transformer.layers import what_heads_read
from pipeline.circuits.transformer.losses import divergences
from pipeline.circuits.transformer.weights import Head, Weights

TOGETHER = "all_attention_roles"
ATTENTION = ("previous_token", "current_token", "first_token", "duplicate_token", "induction", TOGETHER)
COPYING = "copying"
ROLES = (*ATTENTION, COPYING)


class Divergences(NamedTuple):
    """KL(model || model with one head changed) of the next token, summed over the places of each sentence; nats."""

    ablated: Float64[Tensor, "head batch"]  # the head at its mean
    kept: Float64[Tensor, "role head batch"]  # the head with what a role explains
    random: Float64[Tensor, "draw role head batch"]  # the head with as much that no role explains
    mass: Float64[Tensor, "role head batch"]  # attention to the role's keys, mean over queries from 1 on


class Shares(NamedTuple):
    """Shares of heads' effects, each with its bootstrap interval over sentences; NaN where there is no effect."""

    value: Float64[Tensor, "role head"]  # 1 - KL(kept) / KL(ablated), of sums over tokens; at most 1
    lo: Float64[Tensor, "role head"]
    hi: Float64[Tensor, "role head"]
    chance: Float64[Tensor, "role head"]  # the same of what is random, mean over draws
    chance_hi: Float64[Tensor, "role head"]  # its quantile over draws, at the confidence
    above_chance: Float64[Tensor, "role head"]  # value - chance, on the same sentences
    above_lo: Float64[Tensor, "role head"]
    above_hi: Float64[Tensor, "role head"]


def attention_roles(tokens: Int[Tensor, "batch position"], first: int) -> dict[str, Mask]:
    """Return the edges that each role explains, by its name in ATTENTION; roles overlap.

    Args:
        tokens: the sequences.
        first: the first position of text: 1 where sequences start with [BEGIN], else 0, and there is no first_token.
    """
    masks = {
        "previous_token": head_patterns.previous_token(tokens),
        "current_token": head_patterns.current_token(tokens),
        "first_token": head_patterns.first_token(tokens),
        "duplicate_token": head_patterns.duplicate_token(tokens),
        "induction": induction.targets(tokens, first),
    }
    if not first:
        del masks["first_token"]
    return masks | {TOGETHER: reduce(torch.logical_or, masks.values())}


def token_directions(weights: Weights) -> Float[Tensor, "d_vocab d_model"]:
    """Return the unit vector of the stream along which each token's logit grows most over the mean of all logits.

    Args:
        weights: with layer norm's gains folded in and, where it centres, centred.
    """
    return functional.normalize((weights.W_U - weights.W_U.mean(-1, keepdim=True)).mT, dim=-1)


def role_divergences(
    weights: Weights,
    tokens: Int[Tensor, "batch position"],
    heads: Sequence[Head],
    masks: dict[str, Mask],
    directions: Float[Tensor, "d_vocab d_model"],
    places: Int[Tensor, " place"],
    draws: int,
    generator: Generator,
    at_once: int,
) -> Divergences:
    """Keep of each head what each role explains and, beside it, as much at random.

    At random: of the edges, each query's attention to its role's keys goes to as many keys drawn from those it sees,
    without replacement; of copying, the direction is that of another token of the sample, the same for each token.

    Args:
        weights: the transformer, which attends back alone.
        tokens: the sequences.
        heads: which.
        masks: the edges that each role explains, of `attention_roles`; copying comes after them.
        directions: of `token_directions`.
        places: positions whose predictions are compared.
        draws: of what is random, at least 1.
        generator: decides the draws.
        at_once: sequences in one forward pass; bounds memory, not the result.
    """
    whose = torch.arange(len(directions))
    whose = torch.stack([whose, *(_renamed(whose, tokens, generator) for _ in range(draws))])[:, tokens]
    parts = torch.arange(len(tokens)).split(at_once)
    sums = [
        [read.sums(directions[whose[:, part]]) for read in _reads(weights, forward(weights, tokens[part]), heads)]
        for part in parts
    ]
    means = [reduce(_Means.plus, of_head).over(tokens.numel()) for of_head in zip(*sums, strict=True)]
    found = []
    for part in parts:
        trace, roles = forward(weights, tokens[part]), torch.stack([mask[part] for mask in masks.values()])
        orders = torch.stack([_orders(draws, tokens.shape[1], generator) for _ in part], 1)
        before = unembed(weights, trace.resid[:, -1, places]).log_softmax(-1, dtype=torch.float64)
        for (layer, _), read, mean in zip(heads, _reads(weights, trace, heads), means, strict=True):
            costs, own = [], read.z @ read.W_O
            for written in read.outputs(mean, roles, orders, directions[whose[:, part]]):
                added = functional.pad((written - own)[:, 1:], (0, 0, 1, 0))  # position 0 stays
                resid = resid_with(weights, trace, Change({}, {layer: added}), places)
                costs.append(divergences(before, unembed(weights, resid)).sum(-1))
            mass = (roles * read.pattern)[..., 1:, :].sum(-1).mean(-1).double()
            found.append(torch.cat([torch.stack(costs), mass, torch.ones_like(mass[:1])]))
    # [cost, head, batch]: ablated; what is kept, and what at random, role by role; mass, role by role.
    whole = torch.cat([torch.stack(found[at : at + len(heads)], 1) for at in range(0, len(found), len(heads))], -1)
    by_role = whole[1:].unflatten(0, (-1, len(masks) + 1))
    return Divergences(whole[0], by_role[0], by_role[1:-1], by_role[-1])


class _Means(NamedTuple):
    """Of one head over all sentences and positions, or sums to be divided by how many these are."""

    z: Float[Tensor, " d_head"]
    along: Float[Tensor, "naming d_model"]

    def plus(self, other: "_Means") -> "_Means":
        return _Means(self.z + other.z, self.along + other.along)

    def over(self, count: int) -> "_Means":
        return _Means(self.z / count, self.along / count)


class _Read(NamedTuple):
    """What one head reads of some sentences; of values, without the part that all have in common by a norm's bias."""

    pattern: Float[Tensor, "batch query key"]
    values: Float[Tensor, "batch key d_head"]
    W_O: Float[Tensor, "d_head d_model"]

    @property
    def z(self) -> Float[Tensor, "batch query d_head"]:
        return self.pattern @ self.values

    def along(
        self, towards: Float[Tensor, "*naming batch key d_model"]
    ) -> Float[Tensor, "*naming batch query d_model"]:
        """Return what the head writes if each key writes along its own unit vector alone."""
        length = (towards * (self.values @ self.W_O)).sum(-1, keepdim=True)
        return self.pattern @ (length * towards)

    def sums(self, towards: Float[Tensor, "naming batch key d_model"]) -> _Means:
        """Return what the means are made of."""
        return _Means(self.z.sum((0, 1)), self.along(towards).sum((1, 2)))

    def outputs(
        self,
        mean: _Means,
        roles: Bool[Tensor, "role batch query key"],
        orders: Int[Tensor, "draw batch query key"],
        towards: Float[Tensor, "naming batch key d_model"],
    ) -> Iterator[Float[Tensor, "#batch #query d_model"]]:
        """Yield what the head writes: at its mean; with what each role keeps, copying last; the same at random.

        Args:
            mean: of the head.
            roles: the edges of each.
            orders: in each draw, the key to which the attention to each goes.
            towards: the directions of the keys' tokens and, in each draw, of others.
        """
        at_mean = mean.z @ self.W_O
        yield at_mean.expand(1, 1, -1)
        kept = roles * self.pattern
        for place in range(1 + len(orders)):
            moved = kept if place == 0 else torch.zeros_like(kept).scatter(-1, orders[place - 1].expand_as(kept), kept)
            for edges in moved:
                yield at_mean + edges @ (self.values - mean.z) @ self.W_O
            yield at_mean + self.along(towards[place]) - mean.along[place]


def _reads(weights: Weights, trace: Trace, heads: Sequence[Head]) -> Iterator[_Read]:
    bare = replace(weights, ln1_bias=None)
    for layer, head in heads:
        read, _ = what_heads_read(bare, trace.resid[:, layer], layer)
        yield _Read(trace.pattern[:, layer, head], read @ weights.W_V[layer, head], weights.W_O[layer, head])


def _orders(draws: int, length: int, generator: Generator) -> Int[Tensor, "draw query key"]:
    """Put the keys that each query sees in random order; the others stay behind them, where no attention goes."""
    unseen = torch.ones(length, length, dtype=torch.bool).triu(1)
    return torch.rand((draws, length, length), generator=generator).masked_fill(unseen, 2.0).argsort(-1)


def _renamed(
    names: Int[Tensor, " d_vocab"], tokens: Int[Tensor, "batch position"], generator: Generator
) -> Int[Tensor, " d_vocab"]:
    """Give each token of a sample the name of another one of it."""
    kinds = tokens.unique()
    return names.index_copy(0, kinds, kinds[derangement(len(kinds), generator)])


def shares(found: Divergences, counts: Float64[Tensor, "resample batch"], confidence: float, least: float) -> Shares:
    """Say what share of each head's effect each role keeps, by sums over tokens.

    Args:
        found: of `role_divergences`.
        counts: how often each sentence comes in each resample; see resampled_counts. One alone gives no interval.
        confidence: of the intervals.
        least: sum of KL, nats; of a head whose ablation costs no more, there is no share.
    """
    ablated = found.ablated.where(found.ablated.sum(-1, keepdim=True) > least, torch.nan)
    kept, random = (1 - resampled_means(sums, ablated, counts) for sums in (found.kept, found.random))
    above = kept - random.mean(0)

    def ends(means: Tensor) -> tuple[Tensor, Tensor]:
        lo, hi = interval(means[..., 0], means[..., 1:].movedim(-1, 0), confidence)
        if counts.shape[1] == 1:  # one sentence does not tell how sentences differ
            lo = hi = torch.full_like(lo, torch.nan)
        return lo, hi

    return Shares(
        kept[..., 0],
        *ends(kept),
        random[..., 0].mean(0),
        random[..., 0].quantile(confidence, 0),
        above[..., 0],
        *ends(above),
    )
