"""Scores of the two heads of a circuit in a row, by what the first writes and the second reads."""

import math
from dataclasses import replace

from pipeline.circuits.closed_forms.case import Case
from pipeline.circuits.closed_forms.expected import DISTRACTED, UNDEFINED, Expected
from pipeline.circuits.closed_forms.of_circuits import ClosedForm, identity, nothing
from pipeline.circuits.closed_forms.of_effects import contribution, loss


def composition(through: str, above_chance: bool = False) -> ClosedForm:
    """Return the closed form of composition through Q, K or V.

    The norm of the product over the product of norms; each matrix has as many equal directions as tokens.
    """

    def closed_form(case: Case) -> Expected:
        block = _read(case)[through]
        if block is None:
            return UNDEFINED
        value = 1 / math.sqrt(case.construction.d_vocab) if block == _written(case) else 0.0
        return value - 1 / math.sqrt(case.construction.d_model) if above_chance else value

    return closed_form


def projection_kernel(through: str) -> ClosedForm:
    """Return the closed form of the overlap with Q, K or V: all directions of the block that is written, or none."""
    whole = composition(through)

    def closed_form(case: Case) -> Expected:
        return UNDEFINED if whole(case) == UNDEFINED else float(bool(whole(case)) * case.construction.d_vocab)

    return closed_form


def matching(score: str) -> ClosedForm:
    """Return the closed form of a score of the K circuit: eigenvalue, or top."""

    def closed_form(case: Case) -> Expected:
        reader = case.wiring
        matched = reader.attends == "match" and (reader.query, reader.key) == ("token", _written(case))
        return (identity(case.construction.d_vocab) if matched else nothing())[score]

    return closed_form


def virtual(score: str) -> ClosedForm:
    """Return the closed form of a score of both heads' OV circuits in a row: eigenvalue, or top."""

    def closed_form(case: Case) -> Expected:
        return (identity(case.construction.d_vocab) if _moved_on(case) else nothing())[score]

    return closed_form


def norm_share(case: Case) -> Expected:
    """Size of the pair's output over the whole second layer's."""
    if not _moved_on(case):
        return 0.0
    return 1.0 if case.construction.n_heads == 1 else DISTRACTED


def loss_removed(case: Case) -> Expected:
    """What the loss on text gains without what layer 1 writes, all of which came through layer 0."""
    if not _moved_on(case):
        return 0.0
    text = case.text
    return loss([replace(read, logits=read.logits - read.written[1]) for read in text]) - loss(text)


def logit_contribution(case: Case) -> Expected:
    """What layer 1 writes for the token that comes, all of which came through layer 0, less its mean over tokens."""
    if not _moved_on(case) or case.wiring.moves[1] != "token":
        return 0.0
    return contribution([(read.written[1], read.tokens) for read in case.text])


def _read(case: Case) -> dict[str, str | None]:
    """Return which block the second head reads through each input; None for an input of zeros."""
    reader = case.wiring
    looks = reader.attends != "everywhere"
    return {"Q": reader.query if looks else None, "K": reader.key if looks else None, "V": reader.moves[0]}


def _written(case: Case) -> str:
    return case.construction.wiring[case.layer - 1].moves[1]


def _moved_on(case: Case) -> bool:
    return case.wiring.moves[0] == _written(case)
