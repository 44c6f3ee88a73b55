"""Where heads look, and what the model predicts, on sequences made to tell content from position."""

import math

import einops
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.circuits.scores.head_patterns import even, mass, match, previous_token, same_token
from pipeline.circuits.scores.induction import targets
from pipeline.circuits.scores.score import Score, Scores, pooled
from pipeline.circuits.transformer.forward import Trace, forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights

Name = tuple[str, str]  # metric, definition
Sums = tuple[Tensor, Tensor, Tensor]  # by sentence: the total, the same by chance, and over how many
# The two continuations of an ambiguous token, by how many tokens of context tell them apart.
RIVALS = {1: ("recent", "earlier"), 2: ("same_context", "other_context")}


def challenge_scores(weights: Weights, tokens: Tensor, first: int, context: int | None, batch: int) -> Scores:
    """Run the model on sequences, and score its heads' patterns and its predictions.

    Args:
        weights: the transformer.
        tokens: [batch, position].
        first: the first position that is not [BEGIN]: 0 or 1.
        context: of ambiguous sequences, a key of RIVALS; None for others.
        batch: sequences in one forward pass; bounds memory, not the result.

    Returns:
        By (metric, definition); [layer, head] each, for heads: `previous_token` and `induction` mass, and of
        queries with two continuations the attention to each of RIVALS. Of the model, no axes: the loss
        (nats) and accuracy of predicting tokens that a repeat foretells, the loss of all others, and, of
        the two continuations, the difference of their logits and how often the first's is larger.
    """
    parts = [_sums(weights, part, first, context) for part in tokens.split(batch)]
    return {name: _score(*map(torch.cat, zip(*(part[name] for part in parts), strict=True))) for name in parts[0]}


def _score(total: Tensor, chance: Tensor, n: Tensor) -> Score:
    return pooled(total / n, n, float(chance.sum() / n.sum()))


def _sums(weights: Weights, tokens: Tensor, first: int, context: int | None) -> dict[Name, Sums]:
    trace, keys = forward(weights, tokens), looked_for(tokens, first, context)
    result = _of_heads(trace, keys) | _of_model(trace, keys["induction", "mass"])
    return result if context is None else result | _of_rivals(trace, keys, RIVALS[context])


def looked_for(tokens: Tensor, first: int, context: int | None) -> dict[Name, Tensor]:
    """Return which keys count, bool [batch, query, key]; arguments as in `challenge_scores`."""
    found = targets(tokens, first)
    result = {("previous_token", "mean"): previous_token(tokens), ("induction", "mass"): found}
    if context is not None:
        result |= zip([("induction", name) for name in RIVALS[context]], rivals(tokens, found, context), strict=True)
    return result


def rivals(tokens: Tensor, found: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Split the targets of queries that have two: bool [batch, query, key] each.

    Args:
        tokens: [batch, position].
        found: [batch, query, key], all targets.
        context: 1, the later against the earlier one; 2, the one that follows the query's own two tokens
            against the other, for queries with exactly one such.
    """
    contested = found & (found.sum(-1, keepdim=True) == 2)
    if context == 1:
        places = torch.arange(1, found.shape[-1] + 1)
        chosen = contested & (places == (contested * places).amax(-1, keepdim=True))
        return chosen, contested & ~chosen
    # Whether the tokens at query - 1 and key - 2 are the same, at (query, key).
    shared = same_token(tokens).roll((1, 2), dims=(1, 2))
    shared[:, 0], shared[:, :, :2] = False, False
    told_apart = (contested & shared).sum(-1, keepdim=True) == 1
    return contested & told_apart & shared, contested & told_apart & ~shared


def predictable(tokens: Tensor, found: Tensor) -> Tensor:
    """Say which tokens are what followed an earlier occurrence of the token before: bool [batch, position]."""
    following = same_token(tokens)[:, 1:]  # entry (query, key): the key holds what comes after the query
    return functional.pad((found[:, :-1] & following).any(-1), (1, 0))


def _of_heads(trace: Trace, keys: dict[Name, Tensor]) -> dict[Name, Sums]:
    """Sum every head's attention over the keys that count."""
    templates, chance = [mass(chosen) for chosen in keys.values()], even(trace.tokens.shape[1])
    totals = match(trace.pattern, templates)
    return {
        name: (total, template.by(chance)[:, None, None], template.weight[:, None, None])
        for name, template, total in zip(keys, templates, totals, strict=True)
    }


def _of_model(trace: Trace, found: Tensor) -> dict[Name, Sums]:
    """Sum loss and accuracy over the tokens that a repeat foretells, and the loss over all others."""
    tokens, d_vocab = trace.tokens, trace.logits.shape[-1]
    told, losses = predictable(tokens, found), token_losses(trace.logits, tokens)
    right = functional.pad(trace.logits[:, :-1].argmax(-1) == tokens[:, 1:], (1, 0))
    return {
        ("loss", "repeated"): _over(losses, told, math.log(d_vocab)),
        ("loss", "novel"): _over(losses, ~told & ~losses.isnan(), math.log(d_vocab)),
        ("accuracy", "repeated"): _over(right, told, 1 / d_vocab),
    }


def _of_rivals(trace: Trace, keys: dict[Name, Tensor], names: tuple[str, str]) -> dict[Name, Sums]:
    """Sum, over queries with two continuations, the first's logit minus the second's, and how often it leads."""
    first, second = (keys["induction", name] for name in names)
    held = einops.repeat(trace.tokens, "batch key -> batch query key", query=trace.tokens.shape[1])
    logits = trace.logits.gather(-1, held).double()  # at the query, of what each key holds
    difference = (logits * first).sum(-1) - (logits * second).sum(-1)
    queries, definition = first.any(-1), "_minus_".join(names)
    return {
        ("logit_difference", definition): _over(difference, queries, 0.0),
        ("preference", definition): _over(difference > 0, queries, 0.5),
    }


def _over(values: Tensor, which: Tensor, chance: float) -> Sums:
    n = which.sum(-1).double()
    return values.double().where(which, 0.0).sum(-1), chance * n, n
