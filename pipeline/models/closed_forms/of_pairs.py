"""Scores of the two heads of a circuit in a row, by what the first writes and the second reads."""

import math
from collections.abc import Sequence
from dataclasses import replace

from pipeline.models.closed_forms.mechanism import Followed
from pipeline.models.closed_forms.of_circuits import UNDEFINED, Expected, Name, identity, nothing
from pipeline.models.closed_forms.of_effects import loss
from pipeline.models.constructed import Construction

DISTRACTED = "the layer's sum holds what distractors write, which is random"


def scores(construction: Construction, text: Sequence[Followed]) -> dict[Name, Expected]:
    """Return every score of layer 0's head with layer 1's.

    Args:
        construction: a network of two layers.
        text: the sentences on which virtual heads are measured.
    """
    first, second = construction.wiring
    written = first.moves[1]
    reads = {
        "Q": second.query if second.attends != "everywhere" else None,
        "K": second.key if second.attends != "everywhere" else None,
        "V": second.moves[0],
    }
    found = {}
    for kind, block in reads.items():
        value = _composition(construction, block, written)
        found[f"{kind}_composition", "frobenius"] = value
        found[f"{kind}_composition", "above_chance"] = (
            value if isinstance(value, str) else value - 1 / math.sqrt(construction.d_model)
        )
    matched = second.attends == "match" and (second.query, second.key) == ("token", written)
    matches = identity(construction) if matched else nothing()
    found |= {("K_circuit", "eigenvalue"): matches["eigenvalue"]}
    found |= {("K_circuit", name): matches["top1"] for name in ("top1_keys", "top1_queries")}
    virtual = reads["V"] == written
    copies = identity(construction) if virtual else nothing()
    found |= {("virtual", name): copies[name] for name in ("eigenvalue", "top1")}
    share = 1.0 if construction.n_heads == 1 else DISTRACTED
    found["virtual", "norm_share"] = share if virtual else 0.0
    found["virtual", "loss_removed"] = _loss_removed(text) if virtual else 0.0
    return found


def _composition(construction: Construction, block: str | None, written: str) -> Expected:
    """Return the norm of the product over the product of norms; each has as many equal directions as tokens."""
    if block is None:
        return UNDEFINED
    return 1 / math.sqrt(construction.d_vocab) if block == written else 0.0


def _loss_removed(text: Sequence[Followed]) -> float:
    """Return what the loss gains without what layer 1 writes, all of which came through layer 0."""
    return loss([replace(one, logits=one.logits - one.written[1]) for one in text]) - loss(text)
