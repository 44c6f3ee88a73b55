"""What chance gives for every score of heads: {(metric, definition): {kind of chance: Chance}}.

A definition names its kinds of chance; the first is the one to compare with, because heads of random weights cannot
fool it:

- rotation, for eigenvalues, diagonals, composition and what heads add to logits: keeps the head's singular values,
  which decide how far these stray from 0 (with few large ones, a high eigenvalue score is cheap);
- gaussian, for ranks: they need whole rows of a circuit, too dear to draw for every head;
- renamed_tokens, for fuzzy induction, where nothing repeats (see `null_patterns`);
- permuted_tokens, for induction where repeats have a fixed period, and for ranks of pairs' circuits;
- step_0, the same layer's heads before training, for all else: where a head looks by its luck with positions, or
  with a text's frequent tokens, depends on model and text in ways that no shuffling keeps.

On 200 models that were never trained, 16 heads each, these call at the 5 % level 4.5 to 5.3 % of heads significant
(rotation; 3.9 % of pairs by their eigenvalues), 5.0 to 6.0 % (permuted_tokens) and 4.7 to 6.6 % (step_0, which takes
the scores of a few heads for normal), of 400 models 5.1 % (renamed_tokens), fewer where a count has few values. A
second kind says less than it seems to: tokens that change places make 17 % of random matrices between two equal
embeddings look like copiers, since a matrix has a trace.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce

import torch
from jaxtyping import Float, Float64, Int
from torch import Generator, Tensor

from pipeline.circuits.chance import null_circuits, null_patterns, null_ranks
from pipeline.circuits.chance.null_circuits import balanced
from pipeline.circuits.chance.significance import Chance, of_draws, of_few, of_moments
from pipeline.circuits.definitions.definition import (
    Definition,
    EmbMode,
    Name,
    NullKind,
    OfCircuit,
    OfPattern,
    OfPositions,
    OfPrefixes,
    OfRanks,
)
from pipeline.circuits.definitions.measure_heads import (
    Between,
    Reading,
    Relations,
    circuit_scores,
    halves_of,
    most_ranked,
    readings_of,
    relation_hits,
    sequence_scores,
)
from pipeline.circuits.definitions.registry import DEFINITIONS, HEADS, measured_as
from pipeline.circuits.definitions.views import Tokens, Turned
from pipeline.circuits.scores import induction
from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.scores.relations import permuted, share
from pipeline.circuits.scores.score import Score, Scores
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Head, Weights

Kinds = dict[NullKind, Chance]
RandomHeads = Mapping[Name, Float[Tensor, " draw"]]  # scores of heads that all of a model's share
CircuitScore = Callable[[Grams], Float64[Tensor, "..."]]
Chances = dict[Name, Kinds]


@dataclass(frozen=True)
class Draws:
    """How many draws each kind of chance is made of, and how much is held at a time."""

    heads: int  # of circuits and patterns of single heads; even
    pairs: int  # of circuits of pairs of heads; even
    ranks: int  # of random heads whose circuits are ranked
    tile: int  # rows of a circuit ranked at a time
    batch: int  # sequences in one forward pass
    sentences: int  # of each set on which the model before training is scored


@dataclass(frozen=True)
class Reference:
    """What a model's scores are compared with, and where draws come from."""

    weights: Weights
    before: Weights | None  # the same before training; None where that was not kept
    ranked: Int[Tensor, " token"]  # the tokens whose rows are ranked
    draws: Draws
    generator: Generator
    readings: Mapping[EmbMode, Reading]

    @classmethod
    def of(
        cls, weights: Weights, before: Weights | None, ranked: Int[Tensor, " token"], draws: Draws, generator: Generator
    ) -> "Reference":
        """Take the products of the model's embeddings that all its heads share; arguments as the fields."""
        return cls(weights, before, ranked, draws, generator, readings_of(weights))

    @property
    def folded(self) -> Weights:
        """The model with layer norm's gains folded in."""
        return self.readings["embedding"].weights

    @property
    def between(self) -> Between:
        """What all its heads share where they read the embedding."""
        return self.readings["embedding"].between

    def met(self, layer: int) -> dict[EmbMode, Reading]:
        """Return the readings of a layer: heads of the first are before the feed-forward part."""
        return {mode: reading for mode, reading in self.readings.items() if layer or mode == "embedding"}


def random_heads(reference: Reference, text: Int[Tensor, "batch position"]) -> RandomHeads:
    """Draw the scores of heads with Gaussian matrices, which all heads of the model share.

    Args:
        reference: to this model.
        text: which weighs tokens where a score is weighed by text.
    """
    folded, draws, generator, drawn = reference.folded, reference.draws, reference.generator, {}
    for circuit in ("OV", "QK"):
        functions = {entry.name: measure.function for entry, measure in _of_circuit(circuit)}
        model = reference.between[circuit]
        drawn |= null_circuits.gaussians(model, folded.d_head, functions, draws.heads, generator)
    tokens = torch.cat([reference.ranked, text.flatten()]).unique()
    ranking = (tokens, draws.tile, most_ranked(), draws.ranks, generator)
    every = torch.isin(tokens, reference.ranked).double()
    often = text.flatten().bincount(minlength=folded.d_vocab)[tokens].double()
    for mode, reading in reference.readings.items():
        rank = null_ranks.gaussians(reading.weights.W_E, folded.W_U, folded.d_head, *ranking)
        for entry, measure in measured_as(OfRanks, HEADS):
            if measure.emb_mode == mode:
                weight = often if measure.weighed_by_text else every
                drawn[entry.name] = (rank < measure.most).double() @ (weight / weight.sum())
    if folded.W_pos is not None:
        measures = {
            entry.name: (measure.function, measure.positions)
            for entry, measure in measured_as(OfPositions, HEADS)
            if "gaussian" in entry.nulls
        }
        drawn |= null_ranks.gaussian_positions(folded.W_pos, folded.d_head, measures, draws.heads, generator)
    return drawn


def of_circuits(reference: Reference, layer: int, scores: Scores, random: RandomHeads) -> Chances:
    """Return what chance gives for the `circuit_scores` of a layer, [head] each.

    Args:
        reference: to the model.
        layer: which layer.
        scores: its scores.
        random: of `random_heads`.
    """
    folded, draws = reference.folded, reference.draws
    OV = [balanced(read, written.mT) for read, written in zip(folded.W_V[layer], folded.W_O[layer], strict=True)]
    QK = [balanced(read, written) for read, written in zip(folded.W_Q[layer], folded.W_K[layer], strict=True)]
    chances: Chances = {}
    for mode, reading in reference.met(layer).items():
        for name, between in reading.between.items():
            measures = dict(_of_circuit(name, mode))
            if measures:
                circuits = [between.through(*head) for head in (QK if name == "QK" else OV)]
                chances |= _rotated(reference, circuits, measures, scores)
    before = None
    if reference.before is not None:
        before = circuit_scores(reference.before, layer, reference.ranked, draws.tile)
    return _all(chances, _of_random_heads(scores, random), of_step_0(scores, before))


def _rotated(
    reference: Reference, circuits: list[Grams], measures: Mapping[Definition, OfCircuit], scores: Scores
) -> Chances:
    """Turn the same circuit of several heads; or let the tokens of one side change places."""
    functions = {entry.name: measure.function for entry, measure in measures.items()}
    rotated = rotations(circuits, functions, reference.draws.heads, reference.generator)
    chances: Chances = {}
    for entry, measure in measures.items():
        value = scores[entry.name].value
        chances[entry.name] = {"rotation": of_draws(value, rotated[entry.name])}
        if measure.relabelled_sd is not None:
            sd = torch.stack([measure.relabelled_sd(circuit) for circuit in circuits])
            chances[entry.name]["permuted_tokens"] = of_moments(value, torch.zeros(()), sd)
    return chances


def of_rotation(
    weights: Weights, head: Head, circuits: Mapping[str, Grams], scores: Scores, draws: int, generator: Generator
) -> Chances:
    """Return what *rotation* alone gives for those of the `of_circuits` of one head, [1] each, that are there.

    Args:
        weights: with layer norm's gains folded in.
        head: which.
        circuits: its `circuits_of`.
        scores: its scores.
        draws: how many; even.
        generator: decides them.
    """
    chances: Chances = {}
    for name, circuit in circuits.items():
        functions = {entry.name: measure.function for entry, measure in _of_circuit(name) if entry.name in scores}
        if functions:
            halves = halves_of(weights, name, head)
            changes = zip(halves, balanced(*halves), strict=True)
            turnable = circuit.through(*(torch.linalg.lstsq(own, wanted).solution for own, wanted in changes))
            rotated = rotations([turnable], functions, draws, generator)
            chances |= {each: {"rotation": of_draws(scores[each].value, drawn)} for each, drawn in rotated.items()}
    return chances


def of_sequences(reference: Reference, sequences: Tokens, scores: Scores, random: RandomHeads) -> Chances:
    """Return what chance gives for scores on sequences, [layer, head] each; arguments as in `of_circuits`."""
    batch, chances = reference.draws.batch, {}
    if any(name in scores for name in _prefixes()):
        chances |= _of_prefixes(reference, scores)
    if sequences.period is not None:
        chances |= _of_turned(reference, sequences, scores)
    if sequences.near is not None:
        chances |= _of_renamed(reference, sequences, sequences.near, scores)
    before = None
    if reference.before is not None:
        few = replace(sequences, tokens=sequences.tokens[: reference.draws.sentences])
        before, _ = sequence_scores(reference.before, few, batch)
    return _all(_of_random_heads(scores, random), _of_moments(scores), chances, of_step_0(scores, before))


def of_relations(
    reference: Reference, layer: int, relations: Relations, fewest: int, generator: Generator
) -> tuple[Scores, Chances]:
    """Score the relations that a layer's heads know, [head] each, beside targets that change places.

    Args:
        reference: to the model.
        layer: which layer.
        relations: pairs of tokens, by relation.
        fewest: pairs; with fewer there is no score.
        generator: decides who changes places, the same for all layers if it is in one state.
    """
    found, weights = {}, reference.weights
    for mode, reading in reference.met(layer).items():
        found |= relation_hits(reading.weights, layer, relations, mode)
    scores = {entry.name: Score(share(of_entry, fewest), *entry.levels(weights)) for entry, of_entry in found.items()}
    chances: Chances = {
        entry.name: {
            "permuted_tokens": of_draws(
                scores[entry.name].value, permuted(of_entry, fewest, reference.draws.heads, generator)
            )
        }
        for entry, of_entry in found.items()
    }
    before = None
    if reference.before is not None:
        untrained = relation_hits(reference.before, layer, relations)
        before = {entry.name: Score(share(of_entry, fewest)) for entry, of_entry in untrained.items()}
    return scores, _all(chances, of_step_0(scores, before))


def of_step_0(scores: Scores, before: Scores | None) -> Chances:
    """Return what the same model before training gives: heads of a layer, the last axis, are each other's chance.

    Args:
        scores: [..., head] each.
        before: the same before training; None where that is not known.
    """
    if before is None:
        return {}
    names = [name for name in scores if name in before]
    others = {name: before[name].value.movedim(-1, 0)[..., None] for name in names}
    return {name: {"step_0": of_few(scores[name].value, others[name])} for name in names}


def rotations(
    circuits: list[Grams], functions: Mapping[Name, CircuitScore], draws: int, generator: Generator
) -> dict[Name, Float[Tensor, "draw head"]]:
    """Draw scores of several heads' circuits under rotation."""
    drawn = [null_circuits.rotations(circuit, functions, draws, generator) for circuit in circuits]
    return {name: torch.stack([of_head[name] for of_head in drawn], -1) for name in functions}


def ordered(name: Name, kinds: Kinds) -> Kinds:
    """Return kinds of chance in the order that the definition names them in.

    Raises:
        ValueError: one of them it does not name.
    """
    named = DEFINITIONS[name].nulls
    if strange := set(kinds) - set(named):
        raise ValueError(f"{'_'.join(name)} is compared with {sorted(strange)[0]}, which its definition does not name")
    return {null_kind: kinds[null_kind] for null_kind in named if null_kind in kinds}


def _all(*parts: Chances) -> Chances:
    names = dict.fromkeys(name for part in parts for name in part)
    kinds = {name: [part[name] for part in parts if name in part] for name in names}
    return {name: ordered(name, reduce(operator.or_, of_name)) for name, of_name in kinds.items()}


def _of_circuit(name: str, emb_mode: EmbMode = "embedding") -> Iterator[tuple[Definition, OfCircuit]]:
    for entry, measure in measured_as(OfCircuit, HEADS):
        if measure.circuit == name and measure.emb_mode == emb_mode:
            yield entry, measure


def _prefixes() -> dict[Name, OfPrefixes]:
    return {entry.name: measure for entry, measure in measured_as(OfPrefixes, HEADS)}


def _of_random_heads(scores: Scores, drawn: RandomHeads) -> Chances:
    values = {name: scores[name].value for name in drawn if name in scores}
    return {
        name: {"gaussian": of_draws(value, drawn[name].unflatten(0, (-1, *[1] * value.ndim)))}
        for name, value in values.items()
    }


def _of_moments(scores: Scores) -> Chances:
    """Compare scores with what chance was found to give as they were measured: the first kind that they name."""
    return {
        name: {DEFINITIONS[name].nulls[0]: of_moments(score.value, *score.by_chance)}
        for name, score in scores.items()
        if score.by_chance is not None
    }


def _of_prefixes(reference: Reference, scores: Scores) -> Chances:
    """Turn each head's own matrix, what earlier heads carry being as it is."""
    folded, draws = reference.folded, reference.draws
    previous = scores["previous_token", "mean"].value
    functions = {name: measure.function for name, measure in _prefixes().items()}
    # No head feeds layer 0, whose scores are undefined.
    drawn = [dict.fromkeys(functions, torch.full((draws.heads, folded.n_heads), torch.nan))]
    for layer, carried in induction.carried(folded, previous):
        halves = [balanced(read, written) for read, written in zip(folded.W_Q[layer], folded.W_K[layer], strict=True)]
        circuits = [reference.between["QK"].through(read, carried @ written) for read, written in halves]
        drawn.append(rotations(circuits, functions, draws.heads, reference.generator))
    stacked = {name: torch.stack([of_layer[name] for of_layer in drawn], 1) for name in functions}
    return {name: {"rotation": of_draws(scores[name].value, draws)} for name, draws in stacked.items()}


def _of_turned(reference: Reference, sequences: Tokens, scores: Scores) -> Chances:
    """Let tokens that repeat with a fixed period change places."""
    tokens, first = sequences.tokens, sequences.first
    turns = null_patterns.turns(reference.draws.heads, tokens.shape[1], reference.generator)
    sums: dict[str, Tensor] = {}
    for part in tokens.split(reference.draws.batch):
        matches = null_patterns.matches(forward(reference.weights, part).pattern, part, first, turns)
        sums = {name: sums.get(name, 0) + value for name, value in matches.items()}
    targets = sequences.targets
    turned = Turned(sums["all"], sums["latest"], targets.sum(), targets.any(-1).sum(), tokens.numel())
    return {
        entry.name: {"permuted_tokens": of_draws(scores[entry.name].value, measure.turned(turned))}
        for entry, measure in measured_as(OfPattern, HEADS)
        if measure.turned is not None
    }


def _of_renamed(reference: Reference, sequences: Tokens, near: Int[Tensor, "d_vocab near"], scores: Scores) -> Chances:
    """Ask for what follows tokens that are near others' names."""
    parts = sequences.tokens.split(reference.draws.batch)
    patterns = (forward(reference.weights, part).pattern for part in parts)
    draws = reference.draws.heads, reference.generator
    as_they_are, renamed = null_patterns.renamed(patterns, sequences.tokens, sequences.first, near, *draws)
    queries = induction.near_targets(sequences.tokens, sequences.first, near).any(-1).sum()
    asked = {entry.name: scores[entry.name].value for entry in HEADS if "renamed_tokens" in entry.nulls}
    drawn = (renamed - as_they_are) / queries
    return {name: {"renamed_tokens": of_draws(value, value + drawn)} for name, value in asked.items()}
