"""What chance gives for every score of pairs of heads, as `nulls` does for single heads."""

import math

import torch
from torch import Generator, Tensor

from pipeline.circuits.chance import null_circuits, null_composition, null_ranks
from pipeline.circuits.chance.null_circuits import balanced
from pipeline.circuits.chance.nulls import Chances, Draws, Sides
from pipeline.circuits.chance.significance import of_counts, of_draws, of_few
from pipeline.circuits.scores.score import Scores
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import k_circuit, virtual_ov_circuit


def of_composition(
    weights: Weights, source: int, reader: int, scores: Scores, draws: int, generator: Generator
) -> Chances:
    """Return what chance gives for `pair_scores.composition_scores`, [source head, reader head] each.

    Args:
        weights: with layer norm's gains folded in.
        source: the earlier layer.
        reader: the later layer.
        scores: of these layers.
        draws: how many, for each of the reader's heads.
        generator: decides the draws.
    """
    written = null_composition.singular_values(weights.W_V[source], weights.W_O[source].mT)
    # The reader's singular values through its keys are those through its queries.
    scales = null_composition.singular_values(weights.W_Q[reader], weights.W_K[reader])
    scales = torch.cat([scales, null_composition.singular_values(weights.W_V[reader], weights.W_O[reader].mT)])
    # As many more draws as there are more pairs than heads: the least p falls as the number of scores rises.
    many = draws * weights.n_heads
    rotated = null_composition.rotations(written, scales, weights.d_model, many, generator)
    anywhere = null_composition.gaussians(weights.d_model, weights.d_head, draws, generator)[:, None, None]
    attended, moved = rotated.chunk(2, dim=-1)
    result = {}
    for kind, turned in {"Q": attended, "K": attended, "V": moved}.items():
        for definition, chance in (("frobenius", 0.0), ("above_chance", 1 / math.sqrt(weights.d_model))):
            name = (f"{kind}_composition", definition)
            value = scores[name].value
            kinds = {"rotation": of_draws(value, turned - chance), "gaussian": of_draws(value, anywhere - chance)}
            result[name] = kinds
    return result


def of_circuits(
    weights: Weights,
    source: int,
    reader: int,
    scores: Scores,
    between: Sides,
    tokens: Tensor,
    draws: Draws,
    generator: Generator,
) -> Chances:
    """Return what chance gives for `pair_scores.circuit_scores`, [source head, reader head] each.

    The reader's own matrix is turned (`rotation`), or the tokens of one side change places. Of the many pairs, each
    has few rotations: their scores have mean 0 and, being bounded, no heavier tails than a normal distribution.

    Args:
        weights: with layer norm's gains folded in.
        source: the earlier layer.
        reader: the later layer.
        scores: of these layers' heads.
        between: what the model's heads stand between.
        tokens: the tokens whose rows are ranked.
        draws: how many.
        generator: decides the draws.
    """
    heads = range(weights.n_heads)
    QK = [balanced(weights.W_Q[reader, head], weights.W_K[reader, head]) for head in heads]
    OV = [balanced(weights.W_V[reader, head], weights.W_O[reader, head].mT) for head in heads]
    drawn, best = {"K_circuit": [], "virtual": []}, []
    for head in heads:
        carried = weights.W_V[source, head].double() @ weights.W_O[source, head].double()
        for other in heads:
            (asks, offers), (takes, gives) = QK[other], OV[other]
            for kind, circuit in (
                ("K_circuit", between.QK.through(asks, carried @ offers)),
                ("virtual", between.OV.through(carried @ takes, gives)),
            ):
                found = null_circuits.rotations(circuit, ("eigenvalue",), draws.pairs, generator)
                drawn[kind].append(found["eigenvalue"])
            pair = ((source, head), (reader, other))
            matches, copies = k_circuit(weights, *pair), virtual_ov_circuit(weights, *pair)
            ranked = (matches, matches[::-1], copies)
            best.append(torch.stack([null_ranks.largest(*one, tokens, draws.tile) for one in ranked]))
    shape = (weights.n_heads, weights.n_heads)
    result = {}
    for kind, values in drawn.items():
        name = (kind, "eigenvalue")
        result[name] = {"rotation": of_few(scores[name].value, torch.stack(values, 1).unflatten(1, shape))}
    at_least = null_ranks.relabelled(torch.stack(best), weights.d_vocab).unflatten(0, shape)
    names = (("K_circuit", "top1_keys"), ("K_circuit", "top1_queries"), ("virtual", "top1"))
    for name, probable in zip(names, at_least.unbind(-2), strict=True):
        result[name] = {"permuted_tokens": of_counts(scores[name].value, probable, len(tokens))}
    return result


def of_step_0(scores: Scores, before: Scores) -> Chances:
    """Return what the pairs of the same layers before training give, [source head, reader head] each."""
    names = [name for name in scores if name in before]
    return {name: {"step_0": of_few(scores[name].value, before[name].value.flatten()[:, None, None])} for name in names}
