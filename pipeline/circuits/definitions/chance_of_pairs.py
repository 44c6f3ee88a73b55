"""What chance gives for every score of pairs of heads, as `chance_of_heads` does for single heads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import torch
from jaxtyping import Float64, Int
from torch import Tensor

from pipeline.circuits.chance import null_circuits, null_composition, null_ranks
from pipeline.circuits.chance.null_circuits import balanced
from pipeline.circuits.chance.significance import of_counts, of_draws, of_few, of_moments
from pipeline.circuits.definitions.chance_of_heads import Chances, Reference, ordered
from pipeline.circuits.definitions.definition import Name, OfComposition, OfPairCircuit, OfPairRanks, OfPath
from pipeline.circuits.definitions.measure_heads import halves_of
from pipeline.circuits.definitions.measure_pairs import composition_scores, pair_circuits, path_scores, ranked_circuit
from pipeline.circuits.definitions.registry import PAIRS, measured_as
from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.scores.held import Held
from pipeline.circuits.scores.score import Score, Scores
from pipeline.circuits.scores.subspaces import Span
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.vocabulary.factors import PairCircuit, through_two


@dataclass(frozen=True)
class RandomPairs:
    """Draws that serve all pairs of a model's heads."""

    squares: Float64[Tensor, "pair_draw rank rank"]  # of `null_composition.squared_corners`
    composition: Float64[Tensor, " draw"]  # of heads with Gaussian factors
    sides: Mapping[int, dict[str, Span]]  # of every layer

    @classmethod
    def of(cls, reference: Reference, sides: Mapping[int, dict[str, Span]]) -> "RandomPairs":
        """Draw them."""
        d_model, d_head = reference.folded.d_model, reference.folded.d_head
        # As many more draws as there are more pairs than heads: the least p falls as the number of scores rises.
        many = reference.draws.heads * reference.folded.n_heads
        return cls(
            null_composition.squared_corners(d_model, d_head, many, reference.generator),
            null_composition.gaussians(d_model, d_head, reference.draws.heads, reference.generator),
            sides,
        )


def of_pairs(
    reference: Reference,
    random: RandomPairs,
    source: int,
    reader: int,
    scores: Scores,
    text: Int[Tensor, "batch position"],
) -> Chances:
    """Return what chance gives for the scores of two layers' pairs, [source head, reader head] each.

    Args:
        reference: to the model.
        random: of it.
        source: the earlier layer.
        reader: the later layer.
        scores: of these layers.
        text: on which the model before training is scored.
    """
    chances = _of_composition(reference, random, source, reader, scores)
    if any(entry.name in scores for entry, _ in measured_as(OfPairCircuit, PAIRS)):
        chances |= _of_circuits(reference, source, reader, scores)
    for name, kinds in _of_step_0(reference, source, reader, scores, text).items():
        chances[name] = chances.get(name, {}) | kinds
    return {name: ordered(name, kinds) for name, kinds in chances.items()}


def _of_composition(reference: Reference, random: RandomPairs, source: int, reader: int, scores: Scores) -> Chances:
    """Turn one head against the other in the stream; what each writes or reads keeps its singular values."""
    d_model, written, read = reference.folded.d_model, random.sides[source]["O"], random.sides[reader]
    chances: Chances = {}
    rotated = {}
    for through in ("Q", "V"):  # singular values through keys are those through queries
        turned = read[through]
        rotated[through] = {
            "frobenius": null_composition.rotations(written.sizes, turned.sizes, random.squares),
            "largest_direction": null_composition.largest_directions(written.ranks, turned.sizes, random.squares),
            "projection_kernel": null_composition.kernels(written.ranks, turned.ranks, random.squares),
        }
    for entry, measure in measured_as(OfComposition, PAIRS):
        value, draws = scores[entry.name].value, rotated["V" if measure.through == "V" else "Q"]
        if measure.by in ("frobenius", "above_chance"):
            off = d_model**-0.5 if measure.by == "above_chance" else 0.0
            anywhere = of_draws(value, random.composition[:, None, None] - off)
            chances[entry.name] = {"rotation": of_draws(value, draws["frobenius"] - off), "gaussian": anywhere}
        else:
            chances[entry.name] = {"rotation": of_draws(value, draws[measure.by])}
        if measure.by == "projection_kernel":
            moments = null_composition.kernel_moments(written.ranks, read[measure.through].ranks, d_model)
            drawn, exact = chances[entry.name]["rotation"], of_moments(value, *moments)
            chances[entry.name] = {"rotation": replace(exact, p=drawn.p, draws=drawn.draws)}
    return chances


def _of_circuits(reference: Reference, source: int, reader: int, scores: Scores) -> Chances:
    """Turn the reader's own matrix (rotation), or let the tokens of one side change places.

    Of the many pairs, each has few rotations: their scores have mean 0 and, being bounded, no heavier tails than a
    normal distribution.
    """
    folded, draws = reference.folded, reference.draws
    heads = range(folded.n_heads)
    QK = [balanced(folded.W_Q[reader, head], folded.W_K[reader, head]) for head in heads]
    OV = [balanced(folded.W_V[reader, head], folded.W_O[reader, head].mT) for head in heads]
    rotated, largest = [], []
    for (first, second), factors in zip(product(heads, heads), through_two(folded, source, reader), strict=True):
        circuits = pair_circuits(reference.between, halves_of(folded, "OV", (source, first)), QK[second], OV[second])
        rotated.append(_rotations(reference, circuits))
        ranked = [ranked_circuit(measure, factors) for _, measure in measured_as(OfPairRanks, PAIRS)]
        rows = [null_ranks.largest(*circuit, reference.ranked, draws.tile) for circuit in ranked]
        largest.append(torch.stack(rows))
    shape = (folded.n_heads, folded.n_heads)
    chances: Chances = {}
    for entry, _ in measured_as(OfPairCircuit, PAIRS):
        drawn = torch.stack([of_pair[entry.name] for of_pair in rotated], 1).unflatten(1, shape)
        chances[entry.name] = {"rotation": of_few(scores[entry.name].value, drawn)}
    at_least = null_ranks.relabelled(torch.stack(largest), folded.d_vocab).unflatten(0, shape)
    for (entry, _), probable in zip(measured_as(OfPairRanks, PAIRS), at_least.unbind(-2), strict=True):
        value = scores[entry.name].value
        chances[entry.name] = {"permuted_tokens": of_counts(value, probable, len(reference.ranked))}
    return chances


def _rotations(reference: Reference, circuits: dict[PairCircuit, Grams]) -> dict[Name, Float64[Tensor, " draw"]]:
    drawn = {}
    for name, circuit in circuits.items():
        measures = [(entry, measure) for entry, measure in measured_as(OfPairCircuit, PAIRS) if measure.circuit == name]
        functions = {entry.name: measure.function for entry, measure in measures}
        drawn |= null_circuits.rotations(circuit, functions, reference.draws.pairs, reference.generator)
    return drawn


def _of_step_0(
    reference: Reference, source: int, reader: int, scores: Scores, text: Int[Tensor, "batch position"]
) -> Chances:
    if reference.before is None:
        return {}
    before = composition_scores(reference.before, source, reader)
    if any(entry.name in scores for entry, _ in measured_as(OfPath, PAIRS)):
        held = Held.of(reference.before, forward(reference.before, text[: reference.draws.sentences]))
        heads = [(source, head) for head in range(reference.before.n_heads)]
        paths = [path_scores(held, head, reader) for head in heads]
        before |= {name: Score(torch.stack([of_head[name].value for of_head in paths])) for name in paths[0]}
    names = [name for name in scores if name in before]
    return {name: {"step_0": of_few(scores[name].value, before[name].value.flatten()[:, None, None])} for name in names}
