"""Measure pairs of heads by every definition, what several share once: {(metric, definition): Score}."""

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
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import Factors


def composition_scores(weights: Weights, source: int, reader: int) -> Scores:
    """Return Q-, K- and V-composition of two layers' heads: [source head, reader head] each."""
    norms, scores = composition(weights, source, reader), {}
    for entry, measure in measured_as(OfComposition, PAIRS):
        value = norms[measure.through] - (weights.d_model**-0.5 if measure.above_chance else 0.0)
        scores[entry.name] = Score(value, *entry.levels(weights))
    return scores


def circuit_scores(
    weights: Weights,
    source: Head,
    layer: int,
    ranked: Int[Tensor, " token"],
    tile: int,
    between: Between | None = None,
) -> Scores:
    """Score the circuits through one head and each head of a later layer, without any sequence.

    Args:
        weights: with layer norm's gains folded in.
        source: the first head.
        layer: of the second heads.
        ranked: the tokens whose rows are ranked.
        tile: rows ranked at a time; bounds memory, not the result.
        between: of `measure_heads.products_between`; taken anew where it is not given.

    Returns:
        The scores, [reader head] each.
    """
    between, values = products_between(weights) if between is None else between, {}
    for head in range(weights.n_heads):
        attends, moves = (halves_of(weights, name, (layer, head)) for name in ("QK", "OV"))
        circuits = pair_circuits(between, halves_of(weights, "OV", source), attends, moves)
        for entry, measure in measured_as(OfPairCircuit, PAIRS):
            values.setdefault(entry, []).append(measure.function(circuits[measure.circuit]))
        for entry, measure in measured_as(OfPairRanks, PAIRS):
            rank = diagonal_rank(*ranked_circuit(weights, measure, source, (layer, head)), ranked, tile, 1)
            values.setdefault(entry, []).append((rank < 1).double().mean())
    return {entry.name: Score(torch.stack(heads), *entry.levels(weights)) for entry, heads in values.items()}


def pair_circuits(between: Between, source: Halves, attends: Halves, moves: Halves) -> dict[str, Grams]:
    """Return the circuits of `factors.k_circuit` and `factors.virtual_ov_circuit` by their small products.

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


def ranked_circuit(weights: Weights, measure: OfPairRanks, source: Head, reader: Head) -> Factors:
    """Return the circuit whose rows a score ranks."""
    rows, columns = measure.circuit(weights, source, reader)
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
    held: Held, source: Head, layer: int, count: int
) -> dict[str, tuple[Float[Tensor, "head batch position rank"], Int[Tensor, "head batch position rank"]]]:
    """List the tokens that one head and each head of a later layer, in a row, promote most.

    Args:
        held: a forward pass.
        source: the first head.
        layer: of the second heads.
        count: tokens at each position.

    Returns:
        For `virtual` and `mixed` (see `virtual_heads`): logits and token ids, by falling logit.
    """
    promoted = {}
    for name, path in (("virtual", virtual_heads.virtual_z), ("mixed", virtual_heads.mixed_z)):
        outputs = [held.unscaled(path(held, source, (layer, head))) for head in range(held.weights.n_heads)]
        unembed = held.weights.W_O[layer] @ held.read.W_U
        logits = einsum(torch.stack(outputs), unembed, "head ... d_head, head d_head d_vocab -> head ... d_vocab")
        promoted[name] = tuple(logits.topk(count))
    return promoted
