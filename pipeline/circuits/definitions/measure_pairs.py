"""Measure pairs of heads by every definition, what several share once: {(metric, definition): Score}."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import product

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.circuits.definitions.definition import OfComposition, OfPairCircuit, OfPairRanks, OfPath
from pipeline.circuits.definitions.measure_heads import Between, Halves, halves_of, products_between
from pipeline.circuits.definitions.registry import PAIRS, measured_as
from pipeline.circuits.definitions.views import Paths
from pipeline.circuits.scores import virtual_heads
from pipeline.circuits.scores.composition import composition
from pipeline.circuits.scores.copying import diagonal_rank
from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.scores.held import Held
from pipeline.circuits.scores.score import Score, Scores, pooled
from pipeline.circuits.scores.subspaces import Span, largest_direction, projection_kernel, spans
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import Factors, PairCircuit, through_two


def composition_scores(
    weights: Weights, source: int, reader: int, sides: Mapping[int, dict[str, Span]] | None = None
) -> Scores:
    """Return Q-, K- and V-composition of two layers' heads: [source head, reader head] each.

    Args:
        weights: with layer norm's gains folded in.
        source: the earlier layer.
        reader: the later layer.
        sides: of `subspaces.spans`, by layer; taken anew where they are not given.
    """
    sides = {layer: spans(weights, layer) for layer in (source, reader)} if sides is None else sides
    norms, scores = composition(weights, source, reader), {}
    for entry, measure in measured_as(OfComposition, PAIRS):
        both = sides[source]["O"], sides[reader][measure.through]
        match measure.by:
            case "projection_kernel":
                value = projection_kernel(*both)
            case "largest_direction":
                value = largest_direction(*both)
            case _:
                value = norms[measure.through] - (weights.d_model**-0.5 if measure.by == "above_chance" else 0.0)
        scores[entry.name] = Score(value, *entry.levels(weights))
    return scores


def circuit_scores(
    weights: Weights,
    source: int,
    reader: int,
    ranked: Int[Tensor, " token"],
    tile: int,
    between: Between | None = None,
) -> Scores:
    """Score the circuits through each head of one layer and each of a later one, without any sequence.

    Args:
        weights: with layer norm's gains folded in.
        source: the earlier layer.
        reader: the later layer.
        ranked: the tokens whose rows are ranked.
        tile: rows ranked at a time; bounds memory, not the result.
        between: of `measure_heads.products_between`; taken anew where it is not given.

    Returns:
        The scores, [source head, reader head] each.
    """
    between, values = products_between(weights) if between is None else between, {}
    heads = product(range(weights.n_heads), repeat=2)
    for (first, second), factors in zip(heads, through_two(weights, source, reader), strict=True):
        attends, moves = (halves_of(weights, name, (reader, second)) for name in ("QK", "OV"))
        circuits = pair_circuits(between, halves_of(weights, "OV", (source, first)), attends, moves)
        for entry, measure in measured_as(OfPairCircuit, PAIRS):
            values.setdefault(entry, []).append(measure.function(circuits[measure.circuit]))
        for entry, measure in measured_as(OfPairRanks, PAIRS):
            rows, columns = ranked_circuit(measure, factors)
            rank = diagonal_rank(rows[ranked], columns, ranked, tile, 1)
            values.setdefault(entry, []).append((rank < 1).double().mean())
    shape = (weights.n_heads, weights.n_heads)
    return {
        entry.name: Score(torch.stack(of_pairs).view(shape), *entry.levels(weights))
        for entry, of_pairs in values.items()
    }


def pair_circuits(between: Between, source: Halves, attends: Halves, moves: Halves) -> dict[PairCircuit, Grams]:
    """Return the circuits of `factors.through_two` by their small products.

    Args:
        between: of `products_between`.
        source: of the first head's OV circuit, as `halves_of`.
        attends: of the second head's QK circuit.
        moves: of its OV circuit.
    """
    (takes, writes), (asks, offers), (again, gives) = source, attends, moves
    return {
        "K_circuit": between["QK"].through(asks, takes @ (writes.mT @ offers)),
        "virtual": between["OV"].through(takes @ (writes.mT @ again), gives),
    }


def ranked_circuit(measure: OfPairRanks, circuits: Mapping[PairCircuit, Factors]) -> Factors:
    """Return the circuit whose rows a score ranks, of those through two heads."""
    rows, columns = circuits[measure.circuit]
    return (columns, rows) if measure.transposed else (rows, columns)


def path_scores(held: Held, source: Head, layer: int) -> Scores:
    """Score what really flows through one head and each head of a later layer, on some sequences.

    Args:
        held: a forward pass.
        source: the first head.
        layer: of the second heads.

    Returns:
        The scores, [reader head] each; of what takes the whole vocabulary's logits, NaN in models with norms.
    """
    weights, paths, scores = held.weights, Paths(held, source, layer), {}
    for entry, measure in measured_as(OfPath, PAIRS):
        if measure.despite_norms or weights.ln1_gain is None:
            value = measure.function(paths)
        else:
            value = torch.full((len(held.trace.tokens), weights.n_heads), torch.nan, dtype=torch.float64)
        levels, known = entry.levels(weights), (~value.isnan()).double()
        scores[entry.name] = pooled(value, known, *levels) if value.ndim == 2 else Score(value, *levels)
    return scores


def promoted_tokens(
    held: Held, sources: Iterable[Head], layer: int, count: int
) -> Iterator[dict[str, tuple[Float[Tensor, "head batch position rank"], Int[Tensor, "head batch position rank"]]]]:
    """List the tokens that each of some heads and each head of a later layer, in a row, promote most.

    Args:
        held: a forward pass.
        sources: the first heads.
        layer: of the second heads.
        count: tokens at each position.

    Yields:
        By first head, for `virtual` and `mixed` (see `virtual_heads`): logits and token ids, by falling logit.
    """
    unembed = held.weights.W_O[layer] @ held.read.W_U
    for source in sources:
        promoted = {}
        for name, path in (("virtual", virtual_heads.virtual_z), ("mixed", virtual_heads.mixed_z)):
            outputs = [held.unscaled(path(held, source, (layer, head))) for head in range(held.weights.n_heads)]
            logits = einsum(torch.stack(outputs), unembed, "head ... d_head, head d_head d_vocab -> head ... d_vocab")
            promoted[name] = tuple(logits.topk(count))
        yield promoted
