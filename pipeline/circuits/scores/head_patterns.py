"""Scores of attention patterns: how much of its attention a head spends where a role would spend it.

A role says which keys a query should look at: its mask. A definition turns a mask into a template, which says how
much each entry of the attention counts.

Many heads rest on [BEGIN] where they have nothing to do. `without_first` says where the rest of their attention goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import einops
import torch
from jaxtyping import Bool, Float, Float64, Int, Shaped
from torch import Tensor

Mask = Bool[Tensor, "batch query key"]  # whether a query should look at a key


@dataclass(frozen=True)
class Template:
    """A score of patterns: of a sentence, sum(entries * pattern) / sum(weight); of a set, both summed first.

    The score of a set is the mean of its sentences' scores by weight; it is NaN where all weights are 0.
    """

    entries: Float64[Tensor, "batch query key"]  # how much each entry of the pattern counts
    weight: Float64[Tensor, "batch query"]  # how many entries or queries of each the score averages over
    role: Mask | None  # the keys a head of this role looks at; None if it is no role's

    def by(self, pattern: Float[Tensor, "query key"] | Float[Tensor, "batch query key"]) -> Float64[Tensor, " batch"]:
        """Sum entries times one head's pattern, of all sentences or of each."""
        return (self.entries * pattern).sum((-2, -1))


def match(
    pattern: Float[Tensor, "batch layer head query key"], templates: Sequence[Template]
) -> Float64[Tensor, "template batch layer head"]:
    """Sum entries times pattern, of every template, sentence and head; over `weight`, the scores.

    Args:
        pattern: attention after softmax.
        templates: of the same sentences.
    """
    entries = torch.stack([template.entries for template in templates])
    axes = "batch layer head query key, template batch query key -> template batch layer head"
    return einops.einsum(pattern.double(), entries, axes)


def score(pattern: Float[Tensor, "batch layer head query key"], template: Template) -> Float64[Tensor, "layer head"]:
    """Score every head on a set of sentences."""
    return match(pattern, [template])[0].sum(0) / template.weight.sum()


def without_first(
    pattern: Float[Tensor, "batch layer head query key"],
) -> tuple[Float64[Tensor, "batch layer head rest rest"], Bool[Tensor, "batch layer head rest"]]:
    """Return attention given that it does not go to position 0: the later positions', each row summing to 1.

    A row all of whose attention goes there says nothing of where else it would go: it is 0, and does not count. That
    is where the rest is too small for the pattern's precision, below the smallest number it holds with all digits.

    Returns:
        The pattern, and which rows count.
    """
    rest = pattern[..., 1:, 1:]
    total = rest.sum(-1, keepdim=True)
    counts = total >= torch.finfo(pattern.dtype).tiny
    return (rest.double() / rest.double().sum(-1, keepdim=True)).where(counts, 0.0), counts.squeeze(-1)


def entropy_share(pattern: Float[Tensor, "... query key"]) -> Float64[Tensor, "..."]:
    """Return the mean entropy of attention over the mean entropy of even attention: 0, one key a query, to 1."""
    entropy = torch.special.entr(pattern.double()).sum(-1).mean(-1)
    return entropy / torch.arange(1, pattern.shape[-1] + 1, dtype=torch.float64).log().mean()


def even(length: int) -> Float64[Tensor, "query key"]:
    """Return the pattern that spreads attention evenly over all it may look at: chance."""
    causal = torch.ones(length, length, dtype=torch.float64).tril()
    return causal / causal.sum(-1, keepdim=True)


def perfect(role: Mask) -> Float64[Tensor, "batch query key"]:
    """Return the pattern of a perfect head: attention spread evenly over the role's keys.

    Where a query has none, no score counts where it looks, and its row is left 0.
    """
    return role / role.sum(-1, keepdim=True, dtype=torch.float64).clamp(min=1)


def previous_token(tokens: Int[Tensor, "batch position"]) -> Mask:
    """Mask of the token just before, for all but the first query."""
    return looking_back(tokens, 1)


def current_token(tokens: Int[Tensor, "batch position"]) -> Mask:
    """Mask of the query's own position."""
    return looking_back(tokens, 0)


def first_token(tokens: Int[Tensor, "batch position"]) -> Mask:
    """Mask of position 0, for all later queries."""
    mask = torch.zeros(len(tokens), tokens.shape[1], tokens.shape[1], dtype=torch.bool)
    mask[:, 1:, 0] = True
    return mask


def duplicate_token(tokens: Int[Tensor, "batch position"]) -> Mask:
    """Mask of all earlier copies of the query's token."""
    return same_token(tokens).tril(-1)


def looking_back(tokens: Int[Tensor, "batch position"], offset: int) -> Mask:
    """Mask of the key `offset` positions before the query."""
    length = tokens.shape[1]
    diagonal = torch.ones(length, length, dtype=torch.bool).tril(-offset).triu(-offset)
    return einops.repeat(diagonal, "query key -> batch query key", batch=len(tokens))


def same_token(tokens: Int[Tensor, "batch position"]) -> Mask:
    """Whether two positions hold the same token: every pair, future ones too."""
    return einops.rearrange(tokens, "batch query -> batch query 1") == einops.rearrange(
        tokens, "batch key -> batch 1 key"
    )


def mass(role: Mask) -> Template:
    """Attention to all of the role's keys together, averaged over queries that have any; perfect head 1.

    Where a query has one key at most, this is the mean attention to it: the previous-token score of Olsson
    et al. 2022, "In-context Learning and Induction Heads", appendix (on text), and ARENA 1.2 (on random
    tokens).
    """
    return Template(role.double(), role.any(-1).double(), role)


def distance(tokens: Int[Tensor, "batch position"]) -> Template:
    """Mean number of positions that attention goes back."""
    places = torch.arange(tokens.shape[1], dtype=torch.float64)
    back = (places[:, None] - places).clamp(min=0)
    entries = einops.repeat(back, "query key -> batch query key", batch=len(tokens))
    return Template(entries, _queries(tokens), None)


def entry_mean(role: Mask) -> Template:
    """Mean over all (query, key) entries of the mask; perfect head: queries per entry, 0.5 for four repeats.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads", appendix, read literally: "the
    average of all attention pattern entries" from a token to those that followed it in earlier repeats.
    """
    return Template(role.double(), role.sum(-1).double(), role)


def detector_mul(role: Mask) -> Template:
    """Share of all attention, over every query, that lies on the mask; perfect head: share of queries with keys.

    Source: TransformerLens, `head_detector.py`, error_measure "mul".
    """
    return Template(role.double(), _queries(role), role)


def detector_abs(role: Mask) -> Template:
    """1 - sum |pattern - mask| / queries; at most 1, and negative where keys outnumber attention.

    The absolute difference is linear here: on the mask it is 1 - pattern, elsewhere the pattern itself,
    and a row of the pattern sums to 1.

    Source: TransformerLens, `head_detector.py`, error_measure "abs", before it rounds to 3 decimals.
    """
    wanted = role.double()
    return Template(2 * wanted - wanted.sum(-1, keepdim=True), _queries(role), role)


def _queries(like: Shaped[Tensor, "batch query ..."]) -> Float64[Tensor, "batch query"]:
    return torch.ones(like.shape[:2], dtype=torch.float64)
