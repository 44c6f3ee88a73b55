"""What is known of heads before any score is measured: by what was planted in them, or by what their model lacks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from pipeline.circuits.closed_forms.mechanism import follow
from pipeline.circuits.closed_forms.wiring import Construction
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Head, Weights
from pipeline.models.attention_only import AttentionOnly
from pipeline.models.families import to_weights

FUNCTIONS: tuple[str, ...] = ("previous_token", "induction", "copying")
Plays = Mapping[str, bool]  # by function; what is not known is not there


@dataclass(frozen=True)
class KnownModel:
    """One model, and what is known of its heads."""

    kind: str
    name: str  # what is in it
    weights: Weights
    plays: Mapping[Head, Plays]


def weights_of(model: AttentionOnly) -> Weights:
    """Return a network's parameters, apart from it."""
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return to_weights({"model_type": "attention_only"} | vars(model.config), state.__getitem__)


def by_wiring(construction: Construction) -> dict[Head, Plays]:
    """Return what the heads of a construction do; distractors do none of it.

    Left open is whether a head plays a role that it plays among others: one that looks for the token before its own
    finds it just before, and at earlier copies; one that moves what an earlier head carried copies what that one saw.
    """
    known: dict[Head, Plays] = {}
    for layer, wiring in enumerate(construction.wiring):
        of_head = {"induction": wiring.attends == "match" and (wiring.query, wiring.key) == ("token", "carried")}
        if wiring.query != "carried":
            of_head["previous_token"] = wiring.attends == "back" and construction.offset == 1
        if wiring.moves[0] == "token":
            of_head["copying"] = wiring.moves[1] == "token" and wiring.sign > 0 and not wiring.shift
        known[layer, 0] = of_head
        known |= {(layer, head): dict.fromkeys(FUNCTIONS, False) for head in range(1, construction.n_heads)}
    return known


def still_wired(
    model: KnownModel, construction: Construction, sentences: Int[Tensor, "batch position"], least: float
) -> KnownModel:
    """Return the model without what is known of planted heads that are no longer what was planted.

    Of a head's attention is kept how far it has come from even attention to the pattern that `follow` works out, which
    knows no weights; of what it moves, how far its token-to-token circuit has come from nothing to the wired one.

    Args:
        model: what training or noise made of the construction.
        construction: what was planted.
        sentences: on which it attends.
        least: share that must be kept, 0 ... 1.
    """
    followed = [follow(construction, tokens) for tokens in sentences.tolist()]
    pattern = forward(model.weights, sentences).pattern.double().numpy()
    even = np.tril(np.ones(pattern.shape[-2:])) / np.arange(1, pattern.shape[-2] + 1)[:, None]
    plays = dict(model.plays)
    for layer in range(len(construction.wiring)):
        wired = np.stack([sentence.patterns[layer] for sentence in followed])
        kept = {
            "attends": _kept(pattern[:, layer, 0], wired, even),
            "copying": _kept(token_circuit(model.weights, (layer, 0)), wired_circuit(construction, layer), 0.0),
        }
        plays[layer, 0] = {
            name: value for name, value in plays[layer, 0].items() if kept.get(name, kept["attends"]) >= least
        }
    return replace(model, plays=plays)


def token_circuit(weights: Weights, head: Head) -> Float[np.ndarray, "d_vocab d_vocab"]:
    """Return what a head that attends to one token adds to every logit."""
    circuit = weights.W_E @ weights.W_V[head] @ weights.W_O[head] @ weights.W_U
    return circuit.double().numpy()


def wired_circuit(construction: Construction, layer: int) -> Float[np.ndarray, "d_vocab d_vocab"]:
    """Return the same of head 0 of a layer, by its wiring."""
    wiring = construction.wiring[layer]
    to_itself = np.eye(construction.d_vocab) * (wiring.moves == ("token", "token"))
    return wiring.sign * construction.copy_gain * np.roll(to_itself, wiring.shift, 1)


def _kept(own: np.ndarray, wired: np.ndarray, nothing: np.ndarray | float) -> float:
    """Return 1 where all is as wired, 0 where it is as far from that as nothing; 1 where nothing is what is wired."""
    most = np.linalg.norm(wired - nothing)
    return float(1 - np.linalg.norm(own - wired) / most) if most else 1.0
