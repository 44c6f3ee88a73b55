"""Scores of weights, by what the wiring makes of tokens and positions: an identity, a shift, or nothing.

A value that does not exist is a sentence that says why.
"""

import math

from pipeline.models.constructed import Construction, Wiring

Name = tuple[str, str]  # metric, definition
Expected = float | str

UNDEFINED = "undefined: the circuit is zero"
ROUNDING = "the circuit is zero but for rounding, which decides"
TIES = "scores are equal, and the tie decides"


def scores(construction: Construction, layer: int, previous: list[float]) -> dict[Name, Expected]:
    """Return every score of one layer's head that needs no pattern of its own.

    Args:
        construction: the network.
        layer: which layer.
        previous: of each layer's head, the mean attention to the token before, on text.
    """
    wiring = construction.wiring[layer]
    copies, stream = _copying(construction, wiring), _stream(wiring)
    matches = _same_token(construction, wiring)
    return {
        **{("copying", definition): value for definition, value in copies.items()},
        ("copying", "eigenvalue_stream"): stream,
        **{("same_token_preference", name): matches[name] for name in ("eigenvalue", "diagonal_z")},
        **{("previous_token", name): value for name, value in _positions(construction, wiring).items()},
        **{("induction", name): value for name, value in _prefix(construction, layer, previous).items()},
    }


def identity(construction: Construction, sign: int = 1) -> dict[str, Expected]:
    """Return the scores of a circuit that sends every token to itself alone, with this sign."""
    share = float(sign > 0)
    z = sign * math.sqrt(construction.d_vocab - 1)
    return {"eigenvalue": float(sign), "diagonal_z": z, "top1": share, "top5": share, "top1_unigram": share}


def nothing() -> dict[str, Expected]:
    """Return the scores of a circuit of zeros, which it is in any basis: ties count against a token."""
    return dict.fromkeys(("eigenvalue", "diagonal_z"), UNDEFINED) | dict.fromkeys(("top1", "top5", "top1_unigram"), 0.0)


def _copying(construction: Construction, wiring: Wiring) -> dict[str, Expected]:
    if wiring.moves != ("token", "token"):
        return nothing()
    if not wiring.shift:
        return identity(construction, wiring.sign)
    # A cyclic shift: its eigenvalues are roots of unity, which add up to 0, and its diagonal is 0.
    z = -1 / math.sqrt(construction.d_vocab - 1)
    return nothing() | {"eigenvalue": 0.0, "diagonal_z": z}


def _stream(wiring: Wiring) -> Expected:
    read, written = wiring.moves
    if read != written:
        return UNDEFINED
    return 0.0 if wiring.shift else float(wiring.sign)


def _same_token(construction: Construction, wiring: Wiring) -> dict[str, Expected]:
    if wiring.attends == "match" and wiring.query == wiring.key == "token":
        return identity(construction)
    return nothing()


def _positions(construction: Construction, wiring: Wiring) -> dict[str, Expected]:
    """Return the scores of the position-position circuit."""
    shares = []
    for query in range(1, construction.n_ctx):
        keys = range(query + 1)
        weights = [1.0 for _ in keys]
        if wiring.attends == "back" and query >= construction.offset:
            weights[query - construction.offset] = math.exp(construction.position_gain)
        shares.append(weights[query - 1] / sum(weights))
    recalls = wiring.attends == "back" and construction.offset == 1
    recall = 1.0 if recalls else TIES
    return {"positional": sum(shares) / len(shares), "recall": recall, "recall_64": recall}


def _prefix(construction: Construction, layer: int, previous: list[float]) -> dict[str, Expected]:
    """Return the scores of the circuit from a query to what the layer below carried one place on."""
    if layer == 0:
        return {"prefix_trace": UNDEFINED, "prefix_ratio": UNDEFINED}
    below, wiring = construction.wiring[layer - 1], construction.wiring[layer]
    fed = wiring.attends == "match" and (wiring.query, wiring.key) == ("token", "carried")
    if not fed or below.moves != ("token", "carried"):
        # Factors that are read in another basis than the stream's, where sums are no longer exact.
        return {"prefix_trace": 0.0, "prefix_ratio": UNDEFINED if construction.basis == "one_hot" else ROUNDING}
    gain = construction.match_gain * math.sqrt(construction.d_head)
    return {"prefix_trace": previous[layer - 1] * gain * construction.d_vocab, "prefix_ratio": 1.0}
