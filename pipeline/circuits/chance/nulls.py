"""What chance gives for every score: {(metric, definition): {kind of chance: Chance}}.

Of several kinds the first is the one to compare with, because heads of random weights cannot fool it:

- rotation, for eigenvalues, diagonals and composition: keeps the head's singular values, which decide how far
  these stray from 0 (with few large ones, a high eigenvalue score is cheap);
- gaussian, for ranks: they need whole rows of a circuit, too dear to draw for every head;
- permuted_tokens, for induction where repeats have a fixed period, and for ranks of pairs' circuits;
- step_0, the same layer's heads before training, for all else: where a head looks by its luck with positions, or
  with a text's frequent tokens, depends on model and text in ways that no shuffling keeps.

On 200 models that were never trained, 16 heads each, these call at the 5 % level 4.5 to 5.3 % of heads significant
(rotation; 3.9 % of pairs by their eigenvalues), 5.0 to 6.0 % (permuted_tokens) and 4.7 to 6.6 % (step_0, which takes
the scores of a few heads for normal), fewer where a count has few values. A second kind says less than it seems to:
tokens that change places make 17 % of random matrices between two equal embeddings look like copiers, since a
matrix has a trace.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from pipeline.circuits.chance import null_circuits, null_patterns, null_ranks
from pipeline.circuits.chance.null_circuits import Grams, balanced
from pipeline.circuits.chance.significance import Chance, of_draws, of_few, of_moments
from pipeline.circuits.scores import induction
from pipeline.circuits.scores.score import Scores
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights

Chances = dict[tuple[str, str], dict[str, Chance]]
DIAGONALS = ("eigenvalue", "diagonal_z")


@dataclass(frozen=True)
class Draws:
    """How many draws each kind of chance is made of, and how much is held at a time."""

    heads: int  # of circuits and patterns of single heads; even
    pairs: int  # of circuits of pairs of heads; even
    ranks: int  # of random heads whose circuits are ranked
    tile: int  # rows of a circuit ranked at a time


@dataclass(frozen=True)
class Sides:
    """What heads of a model stand between."""

    OV: Grams  # embedding and unembedding
    QK: Grams  # embedding on both sides
    stream: Grams  # nothing on either side


def sides(weights: Weights) -> Sides:
    """Take the products of the model's embeddings that all heads share; layer norm's gains are folded in."""
    identity = torch.eye(weights.d_model, dtype=torch.float64)
    return Sides(
        Grams.of(weights.W_E, weights.W_U.mT), Grams.of(weights.W_E, weights.W_E), Grams.of(identity, identity)
    )


def random_heads(
    weights: Weights, between: Sides, ranked: Tensor, text: Tensor, draws: Draws, generator: Generator
) -> dict[tuple[str, str], Tensor]:
    """Draw the scores [draw] of heads with Gaussian matrices, which all heads of the model share.

    Args:
        weights: with layer norm's gains folded in.
        between: of this model.
        ranked: [token], whose rows are ranked for top1 and top5.
        text: [batch, position], which weighs tokens for top1_unigram.
        draws: how many.
        generator: decides the draws.
    """
    drawn = {}
    for metric, model in (("copying", between.OV), ("same_token_preference", between.QK)):
        found = null_circuits.gaussians(model, weights.d_head, DIAGONALS, draws.heads, generator)
        drawn |= {(metric, name): scores for name, scores in found.items()}
    tokens = torch.cat([ranked, text.flatten()]).unique()
    rank = null_ranks.gaussians(weights.W_E, weights.W_U, weights.d_head, tokens, draws.tile, draws.ranks, generator)
    every = torch.isin(tokens, ranked).double()
    often = text.flatten().bincount(minlength=weights.d_vocab)[tokens].double()
    for name, count, weight in (("top1", 1, every), ("top5", 5, every), ("top1_unigram", 1, often)):
        drawn["copying", name] = (rank < count).double() @ (weight / weight.sum())
    if weights.W_pos is not None:
        recalls = null_ranks.gaussian_recalls(weights.W_pos, weights.d_head, draws.heads, generator)
        drawn |= {("previous_token", name): values for name, values in recalls.items()}
    return drawn


def of_circuits(
    weights: Weights, layer: int, scores: Scores, between: Sides, draws: Draws, generator: Generator
) -> Chances:
    """Return what chance gives for `head_scores.circuit_scores` of a layer, [head] each.

    Args:
        weights: with layer norm's gains folded in.
        layer: which layer.
        scores: its scores.
        between: of this model.
        draws: how many.
        generator: decides the draws.
    """
    values = {name: score.value for name, score in scores.items()}
    OV = [balanced(read, written.mT) for read, written in zip(weights.W_V[layer], weights.W_O[layer], strict=True)]
    QK = [balanced(read, written) for read, written in zip(weights.W_Q[layer], weights.W_K[layer], strict=True)]
    result: Chances = {}
    for metric, model, heads in (("copying", between.OV, OV), ("same_token_preference", between.QK, QK)):
        circuits = [model.through(*head) for head in heads]
        drawn = _rotations(circuits, DIAGONALS, draws.heads, generator)
        result |= {(metric, name): {"rotation": of_draws(values[metric, name], drawn[name])} for name in DIAGONALS}
        relabelled = torch.stack([null_circuits.relabelled_sd(circuit) for circuit in circuits])
        diagonal = values[metric, "diagonal_z"]
        result[metric, "diagonal_z"]["permuted_tokens"] = of_moments(diagonal, torch.zeros(()), relabelled)
    stream = _rotations([between.stream.through(*head) for head in OV], ("eigenvalue",), draws.heads, generator)
    name = ("copying", "eigenvalue_stream")
    result[name] = {"rotation": of_draws(values[name], stream["eigenvalue"])}
    return result


def of_random_heads(scores: Scores, drawn: dict[tuple[str, str], Tensor]) -> Chances:
    """Return what `random_heads` give for those of the scores that they have."""
    values = {name: scores[name].value for name in drawn if name in scores}
    return {
        name: {"gaussian": of_draws(value, drawn[name].unflatten(0, (-1, *[1] * value.ndim)))}
        for name, value in values.items()
    }


def of_prefixes(weights: Weights, previous: Tensor, scores: Scores, between: Sides, draws: Draws, generator: Generator):
    """Return what chance gives for `text_scores.prefix_scores`, [layer, head] each; arguments as there and above."""
    carried = torch.zeros(weights.d_model, weights.d_model, dtype=torch.float64)
    # No head feeds layer 0, whose scores are undefined.
    drawn = [{name: torch.full((draws.heads, weights.n_heads), torch.nan) for name in ("trace", "eigenvalue")}]
    for layer in range(1, weights.n_layers):
        carried = carried + induction.shifted(weights, layer - 1, previous[layer - 1])
        heads = zip(weights.W_Q[layer], weights.W_K[layer], strict=True)
        halves = [balanced(read, written) for read, written in heads]
        circuits = [between.QK.through(read, carried @ written) for read, written in halves]
        drawn.append(_rotations(circuits, ("trace", "eigenvalue"), draws.heads, generator))
    result: Chances = {}
    for definition, name in (("prefix_trace", "trace"), ("prefix_ratio", "eigenvalue")):
        stacked = torch.stack([layer[name] for layer in drawn], 1)
        result["induction", definition] = {"rotation": of_draws(scores["induction", definition].value, stacked)}
    return result


def of_patterns(
    weights: Weights, tokens: Tensor, first: int, scores: Scores, batch: int, draws: int, generator: Generator
) -> Chances:
    """Return what chance gives for scores of patterns on tokens that repeat with a fixed period, [layer, head] each.

    Args:
        weights: the transformer.
        tokens: [batch, position].
        first: the first position that is not [BEGIN]: 0 or 1.
        scores: `head_scores.sequence_scores` of these tokens.
        batch: sequences in one forward pass; bounds memory, not the result.
        draws: how many.
        generator: decides the draws.
    """
    turns = null_patterns.turns(draws, tokens.shape[1], generator)
    found: dict[str, Tensor] = {}
    for part in tokens.split(batch):
        sums = null_patterns.matches(forward(weights, part).pattern, part, first, turns)
        found = {name: found.get(name, 0) + value for name, value in sums.items()}
    drawn = null_patterns.scores(found, induction.targets(tokens, first))
    return {name: {"permuted_tokens": of_draws(scores[name].value, values)} for name, values in drawn.items()}


def of_step_0(scores: Scores, before: Scores) -> Chances:
    """Return what the same model before training gives: heads of a layer, the last axis, are each other's chance.

    Args:
        scores: [..., head] each.
        before: the same before training.
    """
    names = [name for name in scores if name in before]
    others = {name: before[name].value.movedim(-1, 0)[..., None] for name in names}
    return {name: {"step_0": of_few(scores[name].value, others[name])} for name in names}


def merged(first: Chances, second: Chances) -> Chances:
    """Return all kinds of chance of both, those of the first leading."""
    return {name: first.get(name, {}) | second.get(name, {}) for name in first | second}


def _rotations(circuits: list[Grams], names: tuple[str, ...], draws: int, generator: Generator) -> dict[str, Tensor]:
    """Draw scores [draw, head] of several heads' circuits."""
    drawn = [null_circuits.rotations(circuit, names, draws, generator) for circuit in circuits]
    return {name: torch.stack([one[name] for one in drawn], -1) for name in names}
