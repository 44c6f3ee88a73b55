"""A head's two full circuits, from vocabulary to vocabulary, as factors in the units of the model.

A vocabulary item is a token, or a learned position taken for one. With positions in queries and keys only
(shortformer), the token-to-token part of the scores of any layer reads the embedding on both sides, as it
does here; what earlier heads write is not in a full circuit. With rotary positions, there is a QK circuit
for every distance between query and key.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from jaxtyping import Float64
from torch import Tensor

from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.circuits.vocabulary.tall import Rows, Tall, products

TallFactors = tuple[Tall, Tall]  # P and Q of P Q^T, [item, d_head] each
PASSED = {"OV": ("W_V", "W_O"), "QK": ("W_Q", "W_K")}  # the matrices that rows and columns pass through
MATRICES = tuple(name for both in PASSED.values() for name in both)


def readers(weights: Weights) -> dict[str, Rows]:
    """What answers to a matrix of any head, by its name; what answers to several is worked out once.

    Vocabulary items answer to W_Q and W_K with their embedding, to W_V too where positions are in the residual
    stream, else tokens alone; tokens to W_O, which writes them, with their unembedding.
    """
    items, n_tokens = Rows(weights.W_E), weights.W_U.shape[1]
    alone = weights.positions != "residual" and len(weights.W_E) > n_tokens
    tokens = Rows(weights.W_E[:n_tokens]) if alone else items
    return {"W_Q": items, "W_K": items, "W_V": tokens, "W_O": Rows(weights.W_U.T.contiguous())}


@dataclass(frozen=True, eq=False)
class SharedRows:
    """What all circuits of a model share."""

    items: dict[str, Rows]  # `readers`
    tokens: dict[str, Rows]  # the same, without positions
    meetings: dict[str, Float64[Tensor, "column_width row_width"]]  # by circuit: see `spectrum`; of tokens


def shared_rows(weights: Weights, n_tokens: int) -> SharedRows:
    """Prepare a model of which `n_tokens` vocabulary items are tokens."""
    items = readers(weights)
    tokens = items if len(weights.W_E) == n_tokens else readers(replace(weights, W_E=weights.W_E[:n_tokens]))
    meetings = {"OV": products(tokens["W_O"].values, tokens["W_V"].values), "QK": tokens["W_K"].gram}
    return SharedRows(items, tokens, meetings)


def responses(weights: Weights, head: Head, rows: dict[str, Rows]) -> dict[str, Tall]:
    """How each vocabulary item answers to each dimension of a head's matrices: [item, d_head] each, not formed.

    Args:
        weights: the model.
        head: which.
        rows: `readers` of this model, or of one that differs in its layers only.
    """
    matrices = {name: getattr(weights, name)[head].double() for name in rows}
    return {name: Tall(rows[name], matrix.T if name == "W_O" else matrix) for name, matrix in matrices.items()}


def full_circuits(answers: dict[str, Tall]) -> dict[str, TallFactors]:
    """Return OV, W_E W_V W_O W_U in logits, and QK, W_E W_Q W_K^T W_E^T / sqrt(d_head) in scores, at one place.

    Args:
        answers: `responses` of one head.
    """
    query = answers["W_Q"]
    scaled = Tall(query.rows, query.matrix / query.rank**0.5)
    return {"OV": (answers["W_V"], answers["W_O"]), "QK": (scaled, answers["W_K"])}


def at_distances(
    factors: dict[str, TallFactors], turns: Mapping[int, Float64[Tensor, "d_head d_head"]]
) -> Iterator[tuple[str, int | None, TallFactors]]:
    """Yield each circuit's name, distance and factors: with rotary positions QK, W_E W_Q R W_K^T W_E^T, at several.

    Args:
        factors: `full_circuits` of one head.
        turns: R by distance, see `attention.turns`; none without rotary positions, and no distance then.
    """
    for circuit, (rows, columns) in factors.items():
        if circuit == "QK" and turns:
            for distance, turn in turns.items():
                yield circuit, distance, (Tall(rows.rows, rows.matrix @ turn), columns)
        else:
            yield circuit, None, (rows, columns)


def normalised(circuit: str, factors: TallFactors, means: dict[str, Float64[Tensor, " item"]]) -> TallFactors:
    """Divide each item's row of either factor by its mean response to that side's vectors; none if empty."""
    if not means:
        return factors
    rows, columns = (
        Tall.of(factor.formed() / means[name][: len(factor), None])
        for factor, name in zip(factors, PASSED[circuit], strict=True)
    )
    return rows, columns
