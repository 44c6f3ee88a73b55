"""What one layer's heads are, computed in two ways that must agree: the largest difference of each quantity.

Two undefined scores agree; an undefined and a defined one differ by NaN, which no tolerance admits.
"""

import math
from dataclasses import replace

import torch
from einops import reduce
from torch import Tensor

from pipeline.circuits.definitions.measure_heads import circuit_scores
from pipeline.circuits.scores.composition import composition
from pipeline.circuits.scores.copying import diagonal_rank, diagonal_z, eigenvalue
from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.terms.terms import Sides, streams, terms
from pipeline.circuits.transformer.layers import attend, head_outputs
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import Factors, gains_folded, ov_circuit, qk_circuit

Errors = dict[str, Tensor]  # quantity: [head]

ROUNDING = 1e-9  # entries of a circuit closer than this, by its largest, tie
LOST = 1e-10  # entries and eigenvalues below this, by the norms of the matrices multiplied, are rounding
CIRCUITS = {  # metric: the circuit that it scores, and the matrices multiplied
    "copying": (ov_circuit, ("W_E", "W_V", "W_O", "W_U")),
    "same_token_preference": (qk_circuit, ("W_E", "W_Q", "W_K", "W_E")),
}


def difference(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the absolute difference of scores, entry by entry; 0 where both are NaN."""
    return (ours - theirs).abs().masked_fill(ours.isnan() & theirs.isnan(), 0)


def worst(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the largest absolute difference of each head, of tensors [batch, head, ...]; NaN if either holds one."""
    return reduce((ours - theirs).abs(), "batch head ... -> head", "max")


def sum_of_terms(sides: Sides) -> Tensor:
    """Add up the terms of scores one by one: [batch, head, query, key]."""
    return sum(term for _, _, term in terms(sides))


def factored_errors(weights: Weights, layer: int) -> Errors:
    """Hold scores of circuits, from their factors, against the same of the dense matrices they stand for.

    Args:
        weights: over a vocabulary small enough for dense matrices; norms' gains folded in, float64.
        layer: which layer.
    """
    rows = []
    for head in range(weights.n_heads):
        place = (layer, head)
        W_Q, W_K, W_V, W_O = (getattr(weights, name)[place] for name in ("W_Q", "W_K", "W_V", "W_O"))
        OV, QK = weights.W_E @ (W_V @ W_O) @ weights.W_U, weights.W_E @ (W_Q @ W_K.mT) @ weights.W_E.mT
        copies, matches = ov_circuit(weights, place), qk_circuit(weights, place)
        errors = {
            "copying_eigenvalue": difference(eigenvalue(Grams.of(*copies)), _eigenvalue(OV)),
            "copying_diagonal_z": difference(diagonal_z(Grams.of(*copies)), _diagonal_z(OV)),
            "copying_top1": _outside(_top1(copies), OV),
            "same_token_preference_diagonal_z": difference(diagonal_z(Grams.of(*matches)), _diagonal_z(QK)),
        }
        for metric in CIRCUITS:
            lost = _lost(weights, place, metric)
            errors |= {name: error.masked_fill(lost, 0) for name, error in errors.items() if name.startswith(metric)}
        rows.append(errors)
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def gauge_errors(one: Weights, other: Weights, resid: Tensor, sides: tuple[Sides, Sides]) -> Errors:
    """Hold what two layers compute, and all scores of their circuits, against each other.

    Args:
        one: a transformer of one layer, over a vocabulary small enough for dense matrices, float64.
        other: the same with maps within its heads.
        resid: [batch, position, d_model], the stream that both read.
        sides: what each source gives the queries and keys of either.
    """
    found, expected = (attend(weights, resid, 0) for weights in (other, one))
    errors = {"pattern": worst(found["pattern"], expected["pattern"])}
    errors["output"] = worst(head_outputs(other, found["z"], 0), head_outputs(one, expected["z"], 0))
    pairs = zip(*(terms(streams(side)) for side in sides), strict=True)
    errors["terms"] = torch.stack([worst(term, same) for (*_, term), (*_, same) in pairs]).amax(0)
    return errors | _circuit_errors(gains_folded(one), gains_folded(other))


def composition_errors(one: list[Weights], other: list[Weights]) -> Errors:
    """Hold the composition of two layers' heads, each a transformer of one layer, against that of two others.

    Returns:
        Of each head of the second layer, over all heads of the first.
    """
    found, expected = (composition(_stacked(pair), 0, 1) for pair in (other, one))
    return {f"composition_{kind}": difference(found[kind], expected[kind]).amax(0) for kind in found}


def _circuit_errors(one: Weights, other: Weights) -> Errors:
    tokens = torch.arange(one.d_vocab)
    found, expected = (circuit_scores(weights, 0, tokens, len(tokens)) for weights in (other, one))
    heads = [(0, head) for head in range(one.n_heads)]
    lost = {metric: torch.stack([_lost(one, head, metric) for head in heads]) for metric in CIRCUITS}
    errors = {}
    for (metric, definition), score in expected.items():
        # Ranks, which rounding tips where entries tie, are compared below.
        if not definition.startswith(("top", "recall")):
            error = difference(found[metric, definition].value, score.value)
            errors[f"{metric}_{definition}"] = error.masked_fill(lost[metric], 0) if metric in lost else error
    top1 = [_outside(_top1(ov_circuit(other, head)), _dense(ov_circuit(one, head))) for head in heads]
    return errors | {"copying_top1": torch.stack(top1).masked_fill(lost["copying"], 0)}


def _stacked(layers: list[Weights]) -> Weights:
    """Return two transformers of one layer as one of two, as far as composition reads it."""
    names = ("W_Q", "W_K", "W_V", "W_O")
    return replace(layers[0], **{name: torch.cat([getattr(one, name) for one in layers]) for name in names})


def _dense(factors: Factors) -> Tensor:
    return factors[0] @ factors[1].mT


def _eigenvalue(matrix: Tensor) -> Tensor:
    values = torch.linalg.eigvals(matrix)
    return values.sum().real / values.abs().sum()


def _diagonal_z(matrix: Tensor) -> Tensor:
    deviation = matrix.std(correction=0)
    constant = deviation**2 <= 1e-12 * matrix.square().mean()
    return (matrix.diagonal().mean() - matrix.mean()) / deviation.masked_fill(constant, torch.nan)


def _top1(factors: Factors) -> Tensor:
    tokens = torch.arange(len(factors[0]))
    return (diagonal_rank(*factors, tokens, len(tokens)) < 1).double().mean()


def _outside(share: Tensor, matrix: Tensor) -> Tensor:
    """How far a share of tokens largest in their own row lies beyond what the matrix allows, ties either way."""
    others = matrix.masked_fill(torch.eye(len(matrix), dtype=torch.bool), -torch.inf).amax(-1)
    lead, slack = matrix.diagonal() - others, ROUNDING * matrix.abs().max()
    least, most = ((lead > bound).double().mean() for bound in (slack, -slack))
    return (least - share).clamp(min=0) + (share - most).clamp(min=0)


def _lost(weights: Weights, head: Head, metric: str) -> Tensor:
    """Whether a circuit's entries or eigenvalues are lost in rounding, so that ratios of them are noise."""
    circuit, names = CIRCUITS[metric]
    rows, columns = circuit(weights, head)
    matrices = (getattr(weights, name) for name in names)
    scale = math.prod(float((matrix if matrix.ndim == 2 else matrix[head]).norm()) for matrix in matrices)
    eigenvalues = torch.linalg.eigvals(columns.mT @ rows).abs()
    return min(eigenvalues.sum(), _dense((rows, columns)).norm()) <= LOST * scale
