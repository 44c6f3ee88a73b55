"""Every gate of a model: what is rebuilt from its weights, held against what it must equal.

Gates: `terms`, `pattern` and `logits` against the model's own forward pass, which none of this code computes; `parts`,
`paths` and `orders` against the same, where logits are a sum over parts once norms' scales are held; `factored` and
`gauge` against the same head, formed densely or written otherwise.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import torch
from einops import rearrange
from jaxtyping import Float, Float64, Int
from torch import Tensor

from pipeline.circuits.causes.paths import order_streams, path_outputs, stream_losses
from pipeline.circuits.definitions.registry import HEADS
from pipeline.circuits.gates import disagreement
from pipeline.circuits.gates.gauge import regauged
from pipeline.circuits.scores.copying import spread
from pipeline.circuits.scores.held import Held, adds_up
from pipeline.circuits.terms.walk import of_tokens, walk
from pipeline.circuits.transformer import attention
from pipeline.circuits.transformer.forward import forward, unembed
from pipeline.circuits.transformer.layers import added
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded

Check = tuple[str, str, int | None]  # gate, quantity, layer; None for the whole model
Error = tuple[Check, Float64[Tensor, "..."]]  # the largest absolute difference, of each head where there is a layer
DEPENDENT = {"_".join(entry.name) for entry in HEADS if not entry.gauge_invariant}


def largest(errors: Iterable[Error]) -> dict[Check, Float64[Tensor, "..."]]:
    """Return the largest error of each check; NaN if one is."""
    worst: dict[Check, Tensor] = {}
    for check, error in errors:
        worst[check] = torch.maximum(worst.get(check, error), error)
    return worst


def verdict(
    errors: Mapping[Check, Float64[Tensor, "..."]], tolerance: Mapping[str, float]
) -> tuple[Check, float, bool]:
    """Return the first check that fails, or where none does the one nearest to it; its largest error; whether it fails.

    Args:
        errors: of `largest`.
        tolerance: the largest error that each gate allows; NaN is beyond any.
    """
    shares = {check: float((error / tolerance[check[0]]).max()) for check, error in errors.items()}
    failing = [check for check, share in shares.items() if not share <= 1]
    check = failing[0] if failing else max(shares, key=shares.__getitem__)
    return check, float(errors[check].max()), bool(failing)


def on_sequences(
    weights: Weights,
    tokens: Int[Tensor, "batch position"],
    scores: Float[Tensor, "batch layer head query key"],
    pattern: Float[Tensor, "batch layer head query key"],
    logits: Float[Tensor, "batch position d_vocab"],
    at_once: int,
    apart: int,
) -> Iterator[Error]:
    """Yield the errors of all that the model itself computes on some sequences.

    Args:
        weights: the model as it was read.
        tokens: of the sequences.
        scores: what the model itself computes on them; of keys that a query does not see, anything, or so low a number
            that a softmax does not see it either.
        pattern: likewise.
        logits: likewise.
        at_once: sequences that attend at a time; bounds memory, not the result.
        apart: layers before a head's own that are sources one by one.
    """
    visible = attention.causal_mask(tokens.shape[1]) if weights.attends == "back" else torch.ones(()).bool()
    visible = visible & (scores > torch.finfo(scores.dtype).min / 2).all(1)
    for number, layer in enumerate(walk(weights, tokens, at_once, apart)):
        summed = disagreement.sum_of_terms(layer.queries_keys())
        read = attention.capped(summed, weights.score_cap)
        seen, own = (map_.masked_fill(~visible, 0) for map_ in (read, scores[:, number]))
        yield ("terms", "scores", number), disagreement.worst(seen, own)
        ours = attention.pattern(read, weights.attends)
        yield ("pattern", "pattern", number), disagreement.worst(ours, pattern[:, number])
    b_U = None if weights.b_U is None else weights.b_U.double()
    rebuilt = unembed(replace(layer.weights, W_U=weights.W_U.double(), b_U=b_U), layer.after)
    yield ("logits", "logits", None), (rebuilt - logits).abs().max()
    yield from _added_up(weights, tokens, logits)


def _added_up(
    weights: Weights, tokens: Int[Tensor, "batch position"], logits: Float[Tensor, "batch position d_vocab"]
) -> Iterator[Error]:
    """Yield the errors of sums over parts and over paths, norms' scales held, where logits add up."""
    if not adds_up(weights):
        return
    # Of the embedding the rows of these tokens alone; zeros that nothing touches take no memory.
    used, W_E = tokens.unique(), torch.zeros(weights.W_E.shape, dtype=torch.float64)
    W_E[used] = weights.W_E[used].double()
    weights = replace(replace(weights, W_E=weights.W_E[:0]).double(), W_E=W_E)
    trace = forward(weights, tokens)
    # What feed-forward parts wrote is in the trace; most of a model's memory is let go with their matrices.
    weights = replace(weights, ff_keys=None, ff_gates=None, ff_values=None)
    held = Held.of(weights, replace(trace, weights=weights))
    del trace
    summed = torch.stack(list(held.contributions().values())).sum(0)[:, 1:]
    centred = (logits - logits.mean(-1, keepdim=True))[:, :-1]
    of_coming = centred.gather(-1, rearrange(tokens[:, 1:], "batch position -> batch position 1"))
    yield ("parts", "logits", None), (summed - of_coming.squeeze(-1)).abs().max()
    if weights.n_layers <= 2:  # there are (1 + n_heads) ^ n_layers of them
        through_all = added(held.logits(path_outputs(held).sum(1)), held.logit_constant)
        yield ("paths", "logits", None), (through_all - logits).abs().max()
    through_any = stream_losses(held, order_streams(held)[:, -1])
    yield ("orders", "loss", None), disagreement.difference(through_any, token_losses(logits, tokens)).max()


def of_layers(
    weights: Weights,
    tokens: Int[Tensor, "batch position"],
    at_once: int,
    apart: int,
    dense_tokens: int,
    generator: torch.Generator,
) -> Iterator[Error]:
    """Yield the errors of factored scores, and of each head against itself with maps within it.

    Args:
        weights: the model as it was read.
        tokens: of sequences that heads attend on.
        at_once: as of `on_sequences`.
        apart: likewise.
        dense_tokens: tokens, evenly spaced, over which circuits are formed as dense matrices.
        generator: decides the maps.
    """
    small = of_tokens(weights, spread(weights.d_vocab, dense_tokens))
    b_U = None if small.b_U is None else small.b_U.double()
    before = None
    for number, layer in enumerate(walk(weights, tokens, at_once, apart)):
        alone = replace(layer.weights, W_E=small.W_E.double(), W_U=small.W_U.double(), b_U=b_U)
        mapped = regauged(alone, generator)
        for name, error in disagreement.factored_errors(gains_folded(alone), 0).items():
            yield ("factored", name, number), error
        sides = layer.queries_keys(), replace(layer, weights=mapped).queries_keys()
        errors = disagreement.gauge_errors(alone, mapped, layer.before, sides)
        if before is not None:
            errors |= disagreement.composition_errors([before[0], alone], [before[1], mapped])
        for name, error in errors.items():
            if name not in DEPENDENT:
                yield ("gauge", name, number), error
        before = (alone, mapped)
