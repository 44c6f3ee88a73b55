"""Scores of weights, by what the wiring makes of tokens and positions: an identity, a shift, or nothing."""

import math
from collections.abc import Callable

from pipeline.circuits.closed_forms.case import Case
from pipeline.circuits.closed_forms.expected import ROUNDING, TIES, UNDEFINED, UNFED, WORDLESS, Expected
from pipeline.circuits.closed_forms.of_patterns import previous_attention

ClosedForm = Callable[[Case], Expected]


def identity(d_vocab: int, sign: int = 1) -> dict[str, Expected]:
    """Return the scores of a circuit that sends every token to itself alone, with this sign."""
    return {
        "eigenvalue": float(sign),
        "diagonal_z": sign * math.sqrt(d_vocab - 1),
        "top": float(sign > 0),
        "bottom": float(sign < 0),
    }


def nothing() -> dict[str, Expected]:
    """Return the scores of a circuit of zeros, which it is in any basis: ties count against a token."""
    return {"eigenvalue": UNDEFINED, "diagonal_z": UNDEFINED, "top": 0.0, "bottom": 0.0}


def shift(d_vocab: int) -> dict[str, Expected]:
    """Return the scores of a cyclic shift: eigenvalues are roots of unity, which add up to 0, its diagonal is 0."""
    return {"eigenvalue": 0.0, "diagonal_z": -1 / math.sqrt(d_vocab - 1), "top": 0.0, "bottom": 0.0}


def copying(score: str) -> ClosedForm:
    """Return the closed form of a score of the OV circuit: eigenvalue, diagonal_z, top (top1, top5 ...) or bottom."""

    def closed_form(case: Case) -> Expected:
        if case.wiring.moves != ("token", "token"):
            return nothing()[score]
        d_vocab = case.construction.d_vocab
        return (shift(d_vocab) if case.wiring.shift else identity(d_vocab, case.wiring.sign))[score]

    return closed_form


def relation(case: Case) -> Expected:
    """Tokens of wired networks are numbers without a meaning."""
    return WORDLESS


def after_mlp0(case: Case) -> Expected:
    """Wired networks attend alone."""
    return UNFED


def stream(case: Case) -> Expected:
    """The eigenvalue score of W_V W_O."""
    read, written = case.wiring.moves
    if read != written:
        return UNDEFINED
    return 0.0 if case.wiring.shift else float(case.wiring.sign)


def same_token(score: str) -> ClosedForm:
    """Return the closed form of a score of the QK circuit: eigenvalue or diagonal_z."""

    def closed_form(case: Case) -> Expected:
        matches = case.wiring.attends == "match" and case.wiring.query == case.wiring.key == "token"
        return (identity(case.construction.d_vocab) if matches else nothing())[score]

    return closed_form


def positional(case: Case) -> Expected:
    """Mean attention to the token before by the position-position scores alone."""
    construction, shares = case.construction, []
    for query in range(1, construction.n_ctx):
        weights = [1.0 for _ in range(query + 1)]
        if case.wiring.attends == "back" and query >= construction.offset:
            weights[query - construction.offset] = math.exp(construction.position_gain)
        shares.append(weights[query - 1] / sum(weights))
    return sum(shares) / len(shares)


def recall(case: Case) -> Expected:
    """Share of positions whose position-position score is largest at the one before."""
    return 1.0 if case.wiring.attends == "back" and case.construction.offset == 1 else TIES


def prefix_trace(case: Case) -> Expected:
    """Trace of the circuit from a query to what the layer below carried one place on."""
    if case.layer == 0:
        return UNDEFINED
    if not _fed(case):
        return 0.0
    gain = case.construction.match_gain * math.sqrt(case.construction.d_head)
    return previous_attention(case, case.layer - 1) * gain * case.construction.d_vocab


def prefix_ratio(case: Case) -> Expected:
    """What its eigenvalues add up to over their sizes."""
    if case.layer == 0:
        return UNDEFINED
    if _fed(case):
        return 1.0
    # Factors that are read in another basis than the stream's, where sums are no longer exact.
    return UNDEFINED if case.construction.basis == "one_hot" else ROUNDING


def _fed(case: Case) -> bool:
    below = case.construction.wiring[case.layer - 1]
    matches = case.wiring.attends == "match" and (case.wiring.query, case.wiring.key) == ("token", "carried")
    return matches and below.moves == ("token", "carried")
