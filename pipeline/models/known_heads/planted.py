"""Heads planted by hand: plainly, in disguise, weakly, under noise; and heads that only look as if."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from pipeline.circuits.closed_forms.wiring import Construction
from pipeline.circuits.transformer.weights import Weights
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.constructed import constructed
from pipeline.models.known_heads.known import FUNCTIONS, KnownModel, by_wiring, still_wired, weights_of

CIRCUITS = ("induction", "copy", "previous_token", "induction", "uniform", "v_composition", "induction")
LOOK_ALIKES = (
    "positional_shortcut",  # looks one short of a period back, whatever is there
    "duplicate_token",
    "q_composition",  # looks for the token before, not for its own
    "half_previous_token",  # for every second query; the others look everywhere
    "recent",  # looks at the nearer the more, its own position first
    "anticopy",
    "one_token",  # raises one token, whatever it sees
    "groups",  # raises a whole group of tokens if it sees one of them
    "random",  # never trained
)
GROUP = 4  # tokens
OF_A_HEAD = ("W_Q", "W_K", "W_V", "W_O")
DISTRACTORS = {"basis": "random", "n_heads": 4}


@dataclass(frozen=True)
class Plan:
    """How large models are, and how heads are planted in them."""

    d_vocab: int
    n_ctx: int
    d_model: int
    strong: Sequence[float]  # probability, from and to: attention to what is looked for; see `construction`
    weak: Sequence[float]  # the same of weak heads; of those that copy, what the attended token gets of what they write
    resting: Sequence[float]  # from and to; share of attention to [BEGIN], of that and what is looked for
    noise: Sequence[float]  # size of the noise on each matrix of a head, as shares of the matrix's own
    least_kept: float  # share of what was planted that noise and training must leave
    shortcut: int  # positions; how far back the positional shortcut looks
    embedding_sd: float  # of what was never trained, as are the next two; see `AttentionOnly.initialise`
    position_sd: float
    query_key_scale: float

    def shape(self, n_layers: int, positions: str = "queries_and_keys") -> AttentionOnlyConfig:
        """Return the shape of a network that is not wired."""
        sizes = {"n_heads": 4, "d_model": self.d_model, "n_ctx": self.n_ctx, "d_vocab": self.d_vocab}
        return AttentionOnlyConfig(n_layers=n_layers, positions=positions, tied=False, **sizes)

    def fresh(self, n_layers: int, generator: Generator, positions: str = "queries_and_keys") -> AttentionOnly:
        """Return a network that was never trained."""
        model = AttentionOnly(self.shape(n_layers, positions))
        model.initialise(self.embedding_sd, self.position_sd, self.query_key_scale, generator)
        return model


def drawn(low_high: Sequence[float], generator: Generator) -> float:
    """Draw a number, uniform between two."""
    low, high = low_high
    return low + (high - low) * torch.rand((), generator=generator, dtype=torch.float64).item()


def construction(
    plan: Plan, circuit: str, strength: Sequence[float], generator: Generator, **shape: Any
) -> Construction:
    """Plan a circuit of heads that give what they look for attention drawn from `strength`.

    Args:
        plan: sizes.
        circuit: of CIRCUITS.
        strength: from, to; probability, of one key among as many as an average query sees.
        generator: decides the strengths, of both heads of a circuit alone.
        shape: basis and n_heads, if others than one head as it is.
    """
    first, second = drawn(strength, generator), drawn(strength, generator)
    others = plan.n_ctx / 2 - 1
    by_position, by_content = (math.log(others * share / (1 - share)) for share in (first, second))
    # What a second head looks for or by, the first one carried there, in part.
    carried = first if circuit in ("induction", "q_composition") else 1.0
    given: dict[str, Any] = {"basis": "one_hot", "n_heads": 1} | shape
    return Construction(
        circuit=circuit,
        d_model=plan.d_model,
        n_ctx=plan.n_ctx,
        d_vocab=plan.d_vocab,
        offset=plan.shortcut if circuit == "positional_shortcut" else 1,
        position_gain=by_position,
        match_gain=by_content / carried,
        copy_gain=1.0,
        **given,
    )


def wired(plan: Plan, count: int, generator: Generator) -> Iterator[KnownModel]:
    """Yield networks of one head a layer, as they are."""
    for circuit in islice(cycle(CIRCUITS), count):
        yield _planted("wired", construction(plan, circuit, plan.strong, generator), generator)


def disguised(plan: Plan, count: int, generator: Generator) -> Iterator[KnownModel]:
    """Yield networks in a random basis, with distractors."""
    for circuit in islice(cycle(CIRCUITS), count):
        yield _planted("disguised", construction(plan, circuit, plan.strong, generator, **DISTRACTORS), generator)


def weak(plan: Plan, count: int, generator: Generator) -> Iterator[KnownModel]:
    """Yield disguised networks whose planted heads attend in part to what they look for, and copy it in part."""
    for circuit in islice(cycle(CIRCUITS), count):
        model = _planted("weak", construction(plan, circuit, plan.weak, generator, **DISTRACTORS), generator)
        share = drawn(plan.weak, generator)
        to_next = model.weights.W_E.mT @ model.weights.W_E.roll(-1, 0)
        W_O = model.weights.W_O.clone()
        for (layer, head), of_head in model.plays.items():
            if of_head.get("copying"):
                W_O[layer, head] = share * W_O[layer, head] + (1 - share) * W_O[layer, head] @ to_next
        yield _planted_only(replace(model, weights=replace(model.weights, W_O=W_O)))


def resting(plan: Plan, count: int, generator: Generator) -> Iterator[KnownModel]:
    """Yield disguised networks whose planted heads rest on [BEGIN], as many do that are trained on text."""
    for circuit in islice(cycle(CIRCUITS), count):
        planted = construction(plan, circuit, plan.strong, generator, **DISTRACTORS)
        model = _planted("resting", planted, generator)
        W_Q, W_K, W_E = model.weights.W_Q.clone(), model.weights.W_K.clone(), model.weights.W_E
        carried = 1 / (1 + (plan.n_ctx / 2 - 1) * math.exp(-planted.position_gain))
        rest = 0.0
        for layer, wiring in enumerate(planted.wiring):
            gain = {"match": planted.match_gain, "back": planted.position_gain, "everywhere": 0.0}[wiring.attends]
            if layer and wiring.attends == "match":  # what the first head brings is less by what that rests
                W_Q[layer, 0] /= 1 - rest
                gain *= carried
            rest = drawn(plan.resting, generator)
            # One direction of a head is about [BEGIN], which nothing else is looked for by.
            sought = gain + math.log(rest / (1 - rest))
            W_Q[layer, 0, :, 0] = sought * planted.d_head**0.5 * W_E.sum(0)
            W_K[layer, 0, :, 0] = W_E[0]
        yield _planted_only(replace(model, weights=replace(model.weights, W_Q=W_Q, W_K=W_K)))


def noisy(
    plan: Plan, count: int, sentences: Int[Tensor, "batch position"], generator: Generator
) -> Iterator[KnownModel]:
    """Yield disguised networks with Gaussian noise on every matrix of every head, a level after the other.

    Args:
        plan: the levels.
        count: how many.
        sentences: on which a head must still attend as planted.
        generator: decides it all.
    """
    levels = [level for level in plan.noise for _ in CIRCUITS]
    for circuit, level in islice(zip(cycle(CIRCUITS), cycle(levels), strict=False), count):
        planted = construction(plan, circuit, plan.strong, generator, **DISTRACTORS)
        model = _planted("noisy", planted, generator)
        model = replace(model, name=f"{circuit} noise {level:g}", weights=_noise(model.weights, level, generator))
        yield still_wired(model, planted, sentences, plan.least_kept)


def look_alikes(plan: Plan, count: int, generator: Generator) -> Iterator[KnownModel]:
    """Yield disguised networks whose last planted head is mistaken easily: only what it does not do counts."""
    of_circuit = {"half_previous_token": "previous_token", "recent": "previous_token"}
    of_circuit |= {"one_token": "copy", "groups": "copy"}
    for name in islice(cycle(LOOK_ALIKES), count):
        if name == "random":
            yield random(plan, generator)
            continue
        planted = construction(plan, of_circuit.get(name, name), plan.strong, generator, **DISTRACTORS)
        model = _planted("look_alike", planted, generator)
        head = (len(planted.wiring) - 1, 0)
        plays = {**model.plays[head]}
        if name in of_circuit:
            plays[{"previous_token": "previous_token", "copy": "copying"}[of_circuit[name]]] = False
        does_not = {function: value for function, value in plays.items() if not value}
        yield replace(model, name=name, weights=_mistaken(model.weights, name, generator), plays={head: does_not})


def random(plan: Plan, generator: Generator) -> KnownModel:
    """Return a network that was never trained: none of its heads does anything."""
    model = plan.fresh(2, generator)
    heads = [(layer, head) for layer in range(2) for head in range(model.config.n_heads)]
    plays = {head: dict.fromkeys(FUNCTIONS, False) for head in heads}
    return KnownModel("look_alike", "random", weights_of(model), plays)


def _planted(kind: str, planted: Construction, generator: Generator) -> KnownModel:
    return KnownModel(kind, planted.circuit, weights_of(constructed(planted, generator)), by_wiring(planted))


def _noise(weights: Weights, level: float, generator: Generator) -> Weights:
    """Add to each matrix of each head Gaussian noise of `level` times its own Frobenius norm."""
    noisy = {}
    for name in OF_A_HEAD:
        matrix = getattr(weights, name)
        size = matrix.square().mean((-2, -1), keepdim=True).sqrt()
        noisy[name] = matrix + level * size * torch.randn(matrix.shape, generator=generator)
    return replace(weights, **noisy)


def _planted_only(model: KnownModel) -> KnownModel:
    return replace(model, plays={head: of_head for head, of_head in model.plays.items() if head[1] == 0})


def _mistaken(weights: Weights, name: str, generator: Generator) -> Weights:
    """Make of head 0 of layer 0, which looks back or copies, one that does so in appearance."""
    W_Q, W_O = weights.W_Q.clone(), weights.W_O.clone()
    W_pos, W_E = weights.parameter("W_pos"), weights.W_E
    n_ctx, d_vocab = len(W_pos), len(W_E)
    if name == "half_previous_token":
        W_Q[0, 0] -= W_pos[1::2].mT @ (W_pos[1::2] @ W_Q[0, 0])
    if name == "recent":
        distance = torch.arange(n_ctx)[:, None] - torch.arange(n_ctx)
        falling = -distance.clamp(min=0).float() * weights.d_head**0.5
        W_Q[0, 0] = W_pos.mT @ torch.nn.functional.pad(falling, (0, weights.d_head - n_ctx))
    if name == "one_token":
        chosen = W_E[torch.randint(1, d_vocab, (1,), generator=generator)]
        W_O[0, 0] = (W_O[0, 0] @ W_E.mT).sum(-1, keepdim=True) * chosen
    if name == "groups":
        same = torch.arange(d_vocab) // GROUP
        W_O[0, 0] = W_O[0, 0] @ W_E.mT @ (same[:, None] == same).float() @ W_E
    return replace(weights, W_Q=W_Q, W_O=W_O)
