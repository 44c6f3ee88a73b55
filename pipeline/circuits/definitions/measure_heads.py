"""Measure single heads by every definition, what several share once: {(metric, definition): Score}."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from pipeline.circuits.chance import null_circuits
from pipeline.circuits.definitions.definition import (
    Definition,
    EmbMode,
    Name,
    OfCircuit,
    OfOutputs,
    OfPass,
    OfPattern,
    OfPositions,
    OfPredictions,
    OfPrefixes,
    OfRanks,
    OfRelation,
)
from pipeline.circuits.definitions.registry import HEADS, MODELS, measured_as
from pipeline.circuits.definitions.views import Pass, Predictions, Tokens
from pipeline.circuits.scores import head_patterns, induction, positional
from pipeline.circuits.scores.copying import diagonal_rank
from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.scores.head_patterns import Template
from pipeline.circuits.scores.held import Held, adds_up, what_is_read
from pipeline.circuits.scores.outputs import between_halves
from pipeline.circuits.scores.relations import hits
from pipeline.circuits.scores.score import Score, Scores, pooled
from pipeline.circuits.transformer.forward import Trace, forward
from pipeline.circuits.transformer.layers import head_outputs
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import effective_embedding, gains_folded, ov_circuit, qk_circuit

Between = Mapping[str, Grams]  # by circuit, OV, QK or stream: its sides, without what a head puts between them
Halves = tuple[Float64[Tensor, "d_model rank"], Float64[Tensor, "d_model rank"]]  # W is the first @ the second^T
Relations = Mapping[str, Int[Tensor, "side pair"]]  # sources' and targets' tokens, by relation
CHALLENGING = tuple(entry for entry in (*HEADS, *MODELS) if entry.on_challenges)


def sequence_scores(
    weights: Weights, sequences: Tokens, batch: int, definitions: Collection[Definition] | None = None
) -> tuple[Scores, Float[Tensor, "batch position"]]:
    """Run the model on sequences and score its patterns; on repeated tokens, what its heads write too.

    Args:
        weights: the transformer.
        sequences: what it reads; the random tokens before the first repeat are those that outputs are scored on.
        batch: sequences in one forward pass; bounds memory, not the result.
        definitions: which scores; all, if None.

    Returns:
        The scores, [layer, head] each, with those of each sentence; the losses of `token_losses`.
    """
    definitions = HEADS if definitions is None else definitions
    patterns, outputs, losses, passes, turned = _Patterns(definitions), {}, [], {}, {}
    W_U = gains_folded(weights).W_U
    mean, read = W_U.mean(-1, dtype=torch.float64), what_is_read(weights)
    for part in _parts(sequences, batch):
        trace = forward(weights, part.tokens)
        patterns.add(trace.pattern, part)
        losses.append(token_losses(trace.logits, part.tokens))
        held = Held.of(weights, trace, read) if adds_up(weights) else None
        layers = [Pass(weights, trace, held, layer, part.first) for layer in range(weights.n_layers)]
        for entry, measure in measured_as(OfPass, definitions):
            passes.setdefault(entry, []).append(torch.stack([measure.function(layer) for layer in layers], 1))
            if measure.turned is not None:
                turned[entry] = turned.get(entry, 0) + torch.stack([measure.turned(layer) for layer in layers])
        if part.period is not None:
            sample = slice(part.first, part.first + part.period)
            directions = W_U.mT[part.tokens[:, sample]].double() - mean
            for entry, measure in measured_as(OfOutputs, definitions):
                sentences = _of_outputs(weights, trace, measure, sample, directions)
                outputs.setdefault((entry, measure.chance(part.period)), []).append(sentences)
    scores = patterns.scores()
    of_passes = {(entry, entry.levels(weights)[0]): parts for entry, parts in passes.items()}
    for (entry, chance), parts in (of_passes | outputs).items():
        sentences = torch.cat(parts)
        _, ideal = entry.levels(weights)
        scores[entry.name] = pooled(sentences, (~sentences.isnan()).double(), chance, ideal)
    for entry, total in turned.items():
        score = scores[entry.name]
        matrices = between_halves(total, weights.W_O) / len(sequences.tokens)
        by_chance = null_circuits.of_trace(matrices)
        scores[entry.name] = replace(score, by_chance=by_chance)
    return scores, torch.cat(losses)


def pattern_scores(
    pattern: Float[Tensor, "batch layer head query key"],
    sequences: Tokens,
    definitions: Collection[Definition] | None = None,
) -> Scores:
    """Score patterns on sequences, [layer, head] each, whatever computed them."""
    patterns = _Patterns(HEADS if definitions is None else definitions)
    patterns.add(pattern, sequences)
    return patterns.scores()


def challenge_scores(weights: Weights, sequences: Tokens, batch: int) -> Scores:
    """Run the model on sequences made to mislead, and score its heads' patterns and its predictions.

    Returns:
        [layer, head] each, of heads; of the model, no axes.
    """
    patterns, sums = _Patterns(CHALLENGING), {}
    for part in _parts(sequences, batch):
        trace = forward(weights, part.tokens)
        patterns.add(trace.pattern, part)
        predictions = Predictions(trace, part)
        for entry, measure in measured_as(OfPredictions, CHALLENGING):
            if (of_tokens := measure.function(predictions)) is not None:
                values, counted, chance = of_tokens
                total = values.double().where(counted, 0.0).sum(-1)
                sums.setdefault((entry.name, chance), []).append((total, counted.sum(-1).double()))
    scores = patterns.scores()
    for (name, chance), parts in sums.items():
        total, n = map(torch.cat, zip(*parts, strict=True))
        scores[name] = pooled(total / n, n, chance)
    return scores


@dataclass(frozen=True)
class Reading:
    """A model whose tokens are read from one embedding, which is its W_E."""

    weights: Weights  # with layer norm's gains folded in
    between: Between  # of `products_between`


def readings_of(weights: Weights) -> dict[EmbMode, Reading]:
    """Return a model as it is read from each embedding that it has; its gains not folded in yet."""
    modes: tuple[EmbMode, ...] = ("embedding",) if weights.ff_keys is None else ("embedding", "after_mlp0")
    folded = gains_folded(weights)

    def reading(mode: EmbMode) -> Reading:
        read = replace(folded, W_E=effective_embedding(weights, mode))
        return Reading(read, products_between(read))

    return {mode: reading(mode) for mode in modes}


def products_between(weights: Weights) -> Between:
    """Take the products of the model's embeddings that the circuits of all its heads share.

    Args:
        weights: with layer norm's gains folded in.
    """
    identity = torch.eye(weights.d_model, dtype=torch.float64)
    return {
        "OV": Grams.of(weights.W_E, weights.W_U.mT),
        "QK": Grams.of(weights.W_E, weights.W_E),
        "stream": Grams.of(identity, identity),
    }


def circuit_scores(
    weights: Weights,
    layer: int,
    ranked: Int[Tensor, " token"],
    tile: int,
    between: Between | None = None,
    emb_mode: EmbMode = "embedding",
) -> Scores:
    """Score the circuits of one layer's heads, without any sequence.

    Args:
        weights: with layer norm's gains folded in.
        layer: which layer.
        ranked: the tokens whose rows are ranked.
        tile: rows ranked at a time; bounds memory, not the result.
        between: of `products_between`, which pays where many heads share it; without, each head's own factors do.
        emb_mode: what the W_E of `weights` stands for, by which scores are chosen.

    Returns:
        The scores, [head] each; those of positions only where the model has W_pos.
    """
    heads = {(layer, head): circuits_of(weights, (layer, head), between) for head in range(weights.n_heads)}
    return of_circuits(weights, heads, ranked, tile, emb_mode=emb_mode)


def of_circuits(
    weights: Weights,
    circuits: Mapping[Head, Mapping[str, Grams]],
    ranked: Int[Tensor, " token"],
    tile: int,
    definitions: Collection[Definition] | None = None,
    emb_mode: EmbMode = "embedding",
) -> Scores:
    """Score some heads, [head] each, by their `circuits_of`; the rest as of `circuit_scores`."""
    definitions = HEADS if definitions is None else definitions
    measured = [_head_scores(weights, head, own, ranked, tile, definitions, emb_mode) for head, own in circuits.items()]
    values = {entry: torch.stack([scores[entry] for scores in measured]) for entry in measured[0]}
    return {entry.name: Score(value, *entry.levels(weights)) for entry, value in values.items()}


def relation_hits(
    weights: Weights, layer: int, relations: Relations, emb_mode: EmbMode = "embedding"
) -> dict[Definition, Bool[Tensor, "head pair pair"]]:
    """Return which words each head of a layer takes which words to; see `relations.hits`.

    Args:
        weights: with layer norm's gains folded in.
        layer: which layer.
        relations: pairs of tokens, by the name of their relation.
        emb_mode: as of `circuit_scores`.
    """
    entries = [(entry, measure) for entry, measure in measured_as(OfRelation, HEADS) if measure.emb_mode == emb_mode]
    pairs = [relations[measure.relation] for _, measure in entries]
    every, sizes = torch.cat([sources for sources, _ in pairs]), [len(sources) for sources, _ in pairs]
    found = {entry: [] for entry, _ in entries}
    for head in range(weights.n_heads):
        rows, columns = ov_circuit(weights, (layer, head), every)
        for (entry, measure), (_, targets), own in zip(entries, pairs, rows.split(sizes), strict=True):
            found[entry].append(hits((own, columns), targets, measure.most))
    return {entry: torch.stack(heads) for entry, heads in found.items()}


def text_scores(
    weights: Weights,
    tokens: Int[Tensor, "batch position"],
    first: int,
    previous: Float[Tensor, "layer head"],
    tile: int,
) -> Scores:
    """Score circuits that a text weighs: by how often tokens occur, and by which heads look at the token before.

    Args:
        weights: with layer norm's gains folded in.
        tokens: the text.
        first: the first position that is not [BEGIN]: 0 or 1.
        previous: each head's mean attention to the token before.
        tile: rows ranked at a time; bounds memory, not the result.

    Returns:
        The scores, [layer, head] each; of prefixes NaN in layer 0, which no head feeds.
    """
    scores = text_ranks(weights, tokens[:, first:], tile)
    circuits = prefix_circuits(weights, previous)
    for entry, measure in measured_as(OfPrefixes, HEADS):
        layers = [torch.stack([measure.function(circuit) for circuit in heads]) for heads in circuits]
        nothing = torch.full((weights.n_heads,), torch.nan, dtype=torch.float64)
        scores[entry.name] = Score(torch.stack([nothing, *layers]), *entry.levels(weights))
    return scores


def text_ranks(
    weights: Weights, text: Int[Tensor, "batch position"], tile: int, emb_mode: EmbMode = "embedding"
) -> Scores:
    """Score circuits by the tokens of a text, [layer, head]; of layer 0 NaN where its heads do not meet `emb_mode`."""
    scores = {}
    for entry, measure in measured_as(OfRanks, HEADS):
        if measure.weighed_by_text and measure.emb_mode == emb_mode:
            shares = _shares_of_text(weights, text, measure.most, tile)
            if emb_mode != "embedding":
                shares[:, 0] = torch.nan
            scores[entry.name] = pooled(shares, (~shares.isnan()).double(), *entry.levels(weights))
    return scores


def prefix_circuits(weights: Weights, previous: Float[Tensor, "layer head"]) -> list[list[Grams]]:
    """Return the circuits of `induction.prefix_circuit` of every head from layer 1 on."""
    # With W_E = Q R, W_E M W_E^T has the trace and the eigenvalues of the smaller R M R^T.
    weights = replace(weights, W_E=torch.linalg.qr(weights.W_E.double(), mode="r").R)
    return [
        [Grams.of(*induction.prefix_circuit(weights, carried, (layer, head))) for head in range(weights.n_heads)]
        for layer, carried in induction.carried(weights, previous)
    ]


def most_ranked() -> int:
    """Return the largest k of the scores that ask whether a token is among its own top k."""
    return max(measure.most for _, measure in measured_as(OfRanks, HEADS))


def halves_of(weights: Weights, name: str, head: Head) -> Halves:
    """Return what a head's own circuit puts between the sides of `Between`: W_V and W_O^T, or W_Q and W_K."""
    if name == "QK":
        return weights.W_Q[head].double(), weights.W_K[head].double()
    return weights.W_V[head].double(), weights.W_O[head].mT.double()


def circuits_of(weights: Weights, head: Head, between: Between | None = None) -> dict[str, Grams]:
    """Return a head's own circuits; `between` as of `circuit_scores`."""
    if between is not None:
        return {name: shared.through(*halves_of(weights, name, head)) for name, shared in between.items()}
    factors = {"OV": ov_circuit(weights, head), "QK": qk_circuit(weights, head)}
    return {name: Grams.of(*both) for name, both in (factors | {"stream": halves_of(weights, "stream", head)}).items()}


class _Patterns:
    """Scores of patterns, gathered a part of the sequences at a time."""

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self.definitions = list(measured_as(OfPattern, definitions))
        self.any_without_begin = not all(measure.begin for _, measure in self.definitions)
        self.sums: dict[Name, list[tuple[Tensor, Tensor, Tensor]]] = {}

    def add(self, pattern: Float[Tensor, "batch layer head query key"], part: Tokens) -> None:
        everywhere = torch.ones(pattern.shape[:-1], dtype=torch.bool)
        self._add(pattern, everywhere, part, begin=True)
        if self.any_without_begin and part.without_begin is not None:
            self._add(*head_patterns.without_first(pattern), part.without_begin, begin=False)

    def _add(
        self,
        pattern: Float[Tensor, "batch layer head query key"],
        counts: Bool[Tensor, "batch layer head query"],
        part: Tokens,
        begin: bool,
    ) -> None:
        """Score patterns by what is of them; of the queries that count, each head's own."""
        made = {entry.name: measure.template(part) for entry, measure in self.definitions if measure.begin == begin}
        templates = {name: template for name, template in made.items() if template is not None}
        matches = head_patterns.match(pattern, list(templates.values()))
        even = head_patterns.even(pattern.shape[-1])
        for (name, template), match in zip(templates.items(), matches, strict=True):
            weight = einsum(counts.double(), template.weight, "batch layer head query, batch query -> batch layer head")
            levels = self._levels(template, even)
            self.sums.setdefault(name, []).append((match, weight, levels))

    def _levels(self, template: Template, even: Float[Tensor, "query key"]) -> Float[Tensor, "level batch"]:
        """Return each sentence's weight, and what even attention and a perfect head sum to."""
        weight = template.weight.sum(-1)
        none = torch.full_like(weight, torch.nan)
        perfect = none if template.role is None else template.by(head_patterns.perfect(template.role))
        return torch.stack([weight, template.by(even), perfect])

    def scores(self) -> Scores:
        scores = {}
        for name, parts in self.sums.items():
            match, counts = (torch.cat(part) for part in list(zip(*parts, strict=True))[:2])
            total, even, perfect = torch.cat([levels for *_, levels in parts], -1).sum(-1)
            scores[name] = pooled(match / counts, counts, float(even / total), float(perfect / total))
        return scores


def _parts(sequences: Tokens, batch: int) -> list[Tokens]:
    return [replace(sequences, tokens=part) for part in sequences.tokens.split(batch)]


def _of_outputs(
    weights: Weights,
    trace: Trace,
    measure: OfOutputs,
    sample: slice,
    directions: Float64[Tensor, "batch key d_model"],
) -> Float[Tensor, "batch layer head"]:
    """Score what heads write at the positions `sample`, by these alone."""
    scores = []
    for layer in range(weights.n_layers):
        output = head_outputs(weights, trace.z[:, layer, :, sample], layer)
        pattern = trace.pattern[:, layer, :, sample, sample]
        scores.append(measure.function(pattern, output, directions))
    return torch.stack(scores, 1)


def _head_scores(
    weights: Weights,
    head: Head,
    circuits: Mapping[str, Grams],
    ranked: Int[Tensor, " token"],
    tile: int,
    definitions: Collection[Definition],
    emb_mode: EmbMode,
) -> dict[Definition, Float[Tensor, ""]]:
    values = {
        entry: measure.function(circuits[measure.circuit])
        for entry, measure in measured_as(OfCircuit, definitions)
        if measure.emb_mode == emb_mode
    }
    rows, columns = ov_circuit(weights, head, ranked)
    by_rank = dict(measured_as(OfRanks, definitions))
    by_rank = {entry: each for entry, each in by_rank.items() if each.emb_mode == emb_mode and not each.weighed_by_text}
    most = max((each.most for each in by_rank.values()), default=0)
    sides = {each.smallest: -rows if each.smallest else rows for each in by_rank.values()}
    ranks = {smallest: diagonal_rank(side, columns, ranked, tile, most) for smallest, side in sides.items()}
    for entry, each in by_rank.items():
        values[entry] = (ranks[each.smallest] < each.most).double().mean()
    if weights.W_pos is not None and emb_mode == "embedding":
        queries, keys = positional.position_circuit(weights, head)
        for entry, measure in measured_as(OfPositions, definitions):
            if measure.despite_norms or weights.ln1_gain is None:
                values[entry] = measure.function(queries[: measure.positions], keys[: measure.positions])
    return values


def _shares_of_text(
    weights: Weights, text: Int[Tensor, "batch position"], most: int, tile: int
) -> Float[Tensor, "batch layer head"]:
    """Return the share of each sentence's tokens that are among the largest of their own row of the OV circuit."""
    occurring, place = text.unique(return_inverse=True)
    heads = [(layer, head) for layer in range(weights.n_layers) for head in range(weights.n_heads)]
    ranks = [diagonal_rank(*ov_circuit(weights, head, occurring), occurring, tile, most) for head in heads]
    shares = torch.stack([(rank < most).double()[place].mean(-1) for rank in ranks])
    return rearrange(shares, "(layer head) batch -> batch layer head", layer=weights.n_layers)
