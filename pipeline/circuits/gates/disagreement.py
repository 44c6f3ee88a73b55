"""What one layer's heads are, computed in two ways that must agree: the largest difference of each quantity.

Two undefined scores agree; an undefined and a defined one differ by NaN, which no tolerance admits.
"""

import functools
import math

import torch
from einops import reduce
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from pipeline.circuits.definitions.measure_heads import circuit_scores
from pipeline.circuits.scores.composition import composition
from pipeline.circuits.scores.copying import diagonal_rank, diagonal_z, eigenvalue
from pipeline.circuits.scores.grams import Grams
from pipeline.circuits.terms.sources import QueriesKeys, streams, terms
from pipeline.circuits.transformer.layers import attend, head_outputs
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.factors import Factors, gains_folded, ov_circuit, qk_circuit
from pipeline.circuits.vocabulary.spectra import eigenvalues

Errors = dict[str, Float64[Tensor, " head"]]  # by quantity

ROUNDING = 1e-9  # entries of a circuit closer than this, by its largest, tie
LOST = 1e-10  # entries and eigenvalues below this, by the norms of the matrices multiplied, are rounding
CIRCUITS = {  # metric: the circuit that it scores, and the matrices multiplied
    "copying": (ov_circuit, ("W_E", "W_V", "W_O", "W_U")),
    "same_token_preference": (qk_circuit, ("W_E", "W_Q", "W_K", "W_E")),
}


def difference(ours: Float[Tensor, "..."], theirs: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Return the absolute difference of scores, entry by entry; 0 where both are NaN."""
    return (ours - theirs).abs().masked_fill(ours.isnan() & theirs.isnan(), 0)


def worst(ours: Float[Tensor, "batch head ..."], theirs: Float[Tensor, "batch head ..."]) -> Float[Tensor, " head"]:
    """Return the largest absolute difference of each head; NaN if either holds one."""
    return reduce((ours - theirs).abs(), "batch head ... -> head", "max")


def sum_of_terms(sources: QueriesKeys) -> Float64[Tensor, "batch head query key"]:
    """Add up the terms of scores one by one."""
    return functools.reduce(torch.add, (term for _, _, term in terms(sources)))


def factored_errors(weights: Weights, layer: int) -> Errors:
    """Hold scores of circuits, from their factors, against the same of the dense matrices they stand for.

    Args:
        weights: over a vocabulary small enough for dense matrices; norms' gains folded in, float64.
        layer: which layer.
    """
    by_head = []
    for head in range(weights.n_heads):
        place = (layer, head)
        W_Q, W_K, W_V, W_O = weights.W_Q[place], weights.W_K[place], weights.W_V[place], weights.W_O[place]
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
        by_head.append(errors)
    return {name: torch.stack([errors[name] for errors in by_head]) for name in by_head[0]}


def gauge_errors(
    before: Weights,
    after: Weights,
    resid: Float64[Tensor, "batch position d_model"],
    sources: tuple[QueriesKeys, QueriesKeys],
) -> Errors:
    """Hold what two layers compute, and all scores of their circuits, against each other.

    Args:
        before: a transformer of one layer, over a vocabulary small enough for dense matrices, float64.
        after: the same with maps within its heads.
        resid: the stream that both read.
        sources: what each source gives the queries and keys of either.
    """
    computed, expected = (attend(weights, resid, 0) for weights in (after, before))
    errors = {"pattern": worst(computed["pattern"], expected["pattern"])}
    errors["output"] = worst(head_outputs(after, computed["z"], 0), head_outputs(before, expected["z"], 0))
    pairs = zip(*(terms(streams(side)) for side in sources), strict=True)
    errors["terms"] = torch.stack([worst(term, same) for (*_, term), (*_, same) in pairs]).amax(0)
    return errors | _circuit_errors(gains_folded(before), gains_folded(after))


def composition_errors(before: list[Weights], after: list[Weights]) -> Errors:
    """Hold the composition of two layers' heads, each a transformer of one layer, against that of two others.

    Returns:
        Of each head of the second layer, over all heads of the first.
    """
    computed, expected = (composition(_stacked(pair), 0, 1) for pair in (after, before))
    return {f"composition_{read}": difference(computed[read], expected[read]).amax(0) for read in computed}


def _circuit_errors(before: Weights, after: Weights) -> Errors:
    tokens = torch.arange(before.d_vocab)
    computed, expected = (circuit_scores(weights, 0, tokens, len(tokens)) for weights in (after, before))
    heads = [(0, head) for head in range(before.n_heads)]
    lost = {metric: torch.stack([_lost(before, head, metric) for head in heads]) for metric in CIRCUITS}
    errors = {}
    for (metric, definition), score in expected.items():
        # Ranks, which rounding tips where entries tie, are compared below.
        if not definition.startswith(("top", "bottom", "recall")):
            error = difference(computed[metric, definition].value, score.value)
            errors[f"{metric}_{definition}"] = error.masked_fill(lost[metric], 0) if metric in lost else error
    top1 = [_outside(_top1(ov_circuit(after, head)), _dense(ov_circuit(before, head))) for head in heads]
    return errors | {"copying_top1": torch.stack(top1).masked_fill(lost["copying"], 0)}


def _stacked(layers: list[Weights]) -> Weights:
    """Return two transformers of one layer as one of two, as far as composition reads it."""
    W_Q, W_K, W_V, W_O = (
        torch.cat([getattr(layer, name) for layer in layers]) for name in ("W_Q", "W_K", "W_V", "W_O")
    )
    return Weights("none", layers[0].W_E, layers[0].W_U, W_Q, W_K, W_V, W_O)


def _dense(factors: Factors) -> Float64[Tensor, "row column"]:
    return factors[0] @ factors[1].mT


def _eigenvalue(matrix: Float64[Tensor, "token token"]) -> Float64[Tensor, ""]:
    values = eigenvalues(matrix)
    return values.sum().real / values.abs().sum()


def _diagonal_z(matrix: Float64[Tensor, "token token"]) -> Float64[Tensor, ""]:
    deviation = matrix.std(correction=0)
    constant = deviation <= 1e-12 * matrix.mean().abs()
    return (matrix.diagonal().mean() - matrix.mean()) / deviation.masked_fill(constant, torch.nan)


def _top1(factors: Factors) -> Float64[Tensor, ""]:
    tokens = torch.arange(len(factors[0]))
    return (diagonal_rank(*factors, tokens, len(tokens), 1) < 1).double().mean()


def _outside(share: Float64[Tensor, ""], matrix: Float64[Tensor, "token token"]) -> Float64[Tensor, ""]:
    """How far a share of tokens largest in their own row lies beyond what the matrix allows, ties either way."""
    others = matrix.masked_fill(torch.eye(len(matrix), dtype=torch.bool), -torch.inf).amax(-1)
    lead, slack = matrix.diagonal() - others, ROUNDING * matrix.abs().max()
    least, most = ((lead > bound).double().mean() for bound in (slack, -slack))
    return (least - share).clamp(min=0) + (share - most).clamp(min=0)


def _lost(weights: Weights, head: Head, metric: str) -> Bool[Tensor, ""]:
    """Whether what varies of a circuit's entries, or its eigenvalues, is lost in rounding: ratios of it are noise."""
    circuit, names = CIRCUITS[metric]
    rows, columns = circuit(weights, head)
    matrices = (getattr(weights, name) for name in names)
    scale = math.prod(float((matrix if matrix.ndim == 2 else matrix[head]).norm()) for matrix in matrices)
    sizes = eigenvalues(columns.mT @ rows).abs()
    dense = _dense((rows, columns))
    return torch.minimum(sizes.sum(), (dense - dense.mean()).norm()) <= LOST * scale
