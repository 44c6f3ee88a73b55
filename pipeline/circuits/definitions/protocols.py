"""How published definitions are applied to a model whose heads are to be told apart: on which sequences, and how many.

On one period, as published, a head that looks back by a fixed number of positions may look like an induction head; on
several, the least score counts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int
from torch import Generator, Tensor

from pipeline.circuits.definitions.definition import OfPrefixes
from pipeline.circuits.definitions.measure_heads import circuit_scores, products_between, sequence_scores, text_scores
from pipeline.circuits.definitions.registry import HEADS, measured_as
from pipeline.circuits.definitions.views import Tokens
from pipeline.circuits.scores.copying import spread
from pipeline.circuits.scores.score import Score, Scores
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded

# Metric -> how it is measured: of the weights, with attention on text where earlier heads count by it; on text; on text
# with a part of it copied; on random tokens that repeat with one period; the least of several periods.
PROTOCOLS = {
    "previous_token": ("weights", "text", "one_period"),
    "induction": ("weights", "repeated_text", "one_period", "least_of_periods"),
    "copying": ("weights", "text", "one_period"),
}
Key = tuple[str, str, str]  # metric, definition, protocol


@dataclass(frozen=True)
class Sequences:
    """What models read; each starts with [BEGIN]."""

    text: Int[Tensor, "sentence position"]
    repeated_text: Int[Tensor, "sentence position"]  # the same with a part of it copied
    periodic: Mapping[int, Int[Tensor, "sentence position"]]  # by period; the first one is that of one_period


def protocol_scores(weights: Weights, sequences: Sequences, batch: int, tile: int) -> dict[Key, list[Score]]:
    """Score a model's heads by every definition of the metrics of PROTOCOLS, in each way.

    Args:
        weights: of the model.
        sequences: what it reads.
        batch: sentences in one forward pass.
        tile: rows of a circuit ranked at a time.

    Returns:
        Scores [layer, head]; several are of a period each, and the least of them counts.
    """
    folded = gains_folded(weights)
    ranking = spread(weights.d_vocab, weights.d_vocab), tile, products_between(folded)
    layers = [circuit_scores(folded, layer, *ranking) for layer in range(weights.n_layers)]
    of_weights = {name: Score(torch.stack([layer[name].value for layer in layers])) for name in layers[0]}
    on_text = _scores(weights, sequences.text, None, batch)
    of_text = text_scores(folded, sequences.text, 1, on_text["previous_token", "mean"].value, tile)
    prefixes = {entry.name for entry, _ in measured_as(OfPrefixes, HEADS)}
    of_weights |= {name: of_text.pop(name) for name in prefixes}
    by_period = [_scores(weights, tokens, period, batch) for period, tokens in sequences.periodic.items()]
    found = {
        "weights": {name: [score] for name, score in of_weights.items()},
        "text": {name: [score] for name, score in (on_text | of_text).items()},
        "repeated_text": {
            name: [score] for name, score in _scores(weights, sequences.repeated_text, None, batch).items()
        },
        "one_period": {name: [score] for name, score in by_period[0].items()},
        "least_of_periods": {name: [scores[name] for scores in by_period] for name in by_period[0]},
    }
    return {
        (*entry.name, protocol): found[protocol][entry.name]
        for entry in HEADS
        for protocol in PROTOCOLS.get(entry.metric, ())
        if entry.name in found[protocol]
    }


def subsamples(batch: int, sizes: Sequence[int], draws: int, generator: Generator) -> Float64[Tensor, "draw {batch}"]:
    """Draw so many of a batch of sentences without replacement, a few times each; the first draw is all of them."""
    every = torch.ones(1, batch, dtype=torch.float64)
    orders = [torch.rand(draws, batch, generator=generator).argsort(-1) for _ in sizes]
    return torch.cat([every, *((order < size).double() for order, size in zip(orders, sizes, strict=True))])


def least(scores: list[Score], counts: Float64[Tensor, "draw sentence"]) -> Float64[Tensor, "draw layer head"]:
    """Return the least of some scores in each draw of sentences; the same in all where no sentence is involved."""
    return torch.stack([score.of_draws(counts) for score in scores]).amin(0)


def _scores(weights: Weights, tokens: Tensor, period: int | None, batch: int) -> Scores:
    scores, _ = sequence_scores(weights, Tokens(tokens, 1, period), batch)
    return scores
