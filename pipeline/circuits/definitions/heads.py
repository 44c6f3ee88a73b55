"""Every definition of a score of single heads.

Relation scores need words that are one token each: of a small vocabulary, few pairs are left, and of fewer than a
setting says there is no score. Left out is the name-copying score of Wang et al. 2022, which needs names.

Scores of patterns come twice, the second time without [BEGIN], where heads rest. No such twin have first_token, which
is about [BEGIN]; the detector's scores, since it has its own way to leave [BEGIN] out (exclude_bcs, after which rows
do not sum to 1), and what they average over all queries is mass again; olsson, whose sample holds no [BEGIN] anyway.

Scores of what a circuit makes of tokens come twice too, the second time of tokens behind the first feed-forward part,
which is how later layers meet them.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Literal

from jaxtyping import Float64
from torch import Tensor

from pipeline.circuits.chance.null_circuits import relabelled_sd
from pipeline.circuits.closed_forms import of_circuits, of_patterns
from pipeline.circuits.closed_forms.case import Case
from pipeline.circuits.closed_forms.expected import Expected
from pipeline.circuits.closed_forms.of_patterns import counted
from pipeline.circuits.definitions.definition import (
    Definition,
    OfCircuit,
    OfOutputs,
    OfPass,
    OfPattern,
    OfPositions,
    OfPrefixes,
    OfRanks,
    OfRelation,
)
from pipeline.circuits.definitions.sources import (
    ARENA,
    BIETTI,
    DEMO,
    DETECTOR,
    DEVIATIONS,
    DIAGONAL,
    DISTANCE,
    EFFECTIVE,
    FRACTION,
    FRAMEWORK,
    FUZZY,
    HEADVIS,
    INACTIVE,
    IOI,
    LOGITS,
    LONG_PREFIX,
    MASS,
    MEAN,
    NONE,
    OLSSON,
    OURS,
    PROBABILITY,
    RATIO,
    RELATIONS,
    SHARE,
    SUPPRESSION,
)
from pipeline.circuits.definitions.views import Pass, Tokens, Turned
from pipeline.circuits.scores import copying, head_patterns, induction, positional
from pipeline.circuits.scores.head_patterns import Mask, Template, detector_abs, detector_mul, entry_mean, mass
from pipeline.circuits.transformer.weights import Weights

Role = Callable[[Tokens], Mask]
Draws = Callable[[Turned], Float64[Tensor, "draw layer head"]]


def _previous(tokens: Tokens) -> Mask:
    return tokens.previous


def _copies(tokens: Tokens) -> Mask:
    return tokens.copies


def _targets(tokens: Tokens) -> Mask:
    return tokens.targets


def _averaged(role: Role, average: Callable[[Mask], Template], turned: Draws | None = None) -> OfPattern:
    return OfPattern(lambda tokens: average(role(tokens)), turned)


def _detected(metric: str, role: Role, turned: dict[str, Draws]) -> tuple[Definition, ...]:
    """Return a role's scores by the detector of TransformerLens."""
    nulls = ("permuted_tokens", "step_0") if turned else ("step_0",)
    entries = (("detector_mul", detector_mul, SHARE), ("detector_abs", detector_abs, DISTANCE))
    return tuple(
        Definition(
            metric=metric,
            definition=definition,
            meaning=meaning,
            source=DETECTOR,
            unit=PROBABILITY,
            measure=_averaged(role, average, turned.get(definition)),
            nulls=nulls,
            closed_form=counted(metric, definition),
        )
        for definition, average, meaning in entries
    )


def _rivals(context: int) -> tuple[Definition, ...]:
    """Return attention to either of two targets, on sequences where `context` tokens tell them apart."""
    names = {
        1: (("recent", "the later of two targets"), ("earlier", "the earlier of two targets")),
        2: (
            ("same_context", "the target that followed the query's own two tokens"),
            ("other_context", "the target that followed the query's token, but not its own two tokens"),
        ),
    }[context]

    def template(tokens: Tokens, place: int) -> Template | None:
        return mass(tokens.rivals[place]) if tokens.context == context else None

    return tuple(
        Definition(
            metric="induction",
            definition=name,
            meaning=f"attention to {which}",
            source=OURS,
            unit=PROBABILITY,
            measure=OfPattern(partial(template, place=place)),
            on_challenges=True,
        )
        for place, (name, which) in enumerate(names)
    )


def _stripe(tokens: Tokens) -> Template | None:
    return None if tokens.period is None else induction.stripe(tokens.tokens, tokens.period, tokens.targets)


def _one_in_vocabulary(weights: Weights, most: int = 1) -> float:
    return most / weights.d_vocab


def _projection(weights: Weights) -> float:
    """The nearest to a multiple of the identity that d_head allows is an orthogonal projection."""
    return math.sqrt(min(weights.d_head, weights.d_vocab - 1))


def _even_positions(weights: Weights) -> float:
    return math.nan if weights.W_pos is None else float(head_patterns.even(len(weights.W_pos)).diagonal(-1).mean())


def _one_in_positions(weights: Weights, positions: int | None = None) -> float:
    """Return the share of keys that one is, among the first positions that have a token before them."""
    return math.nan if weights.W_pos is None else 1 / (len(weights.W_pos[:positions]) - 1)


def _ranked(
    definition: str, most: int, meaning: str, source: str, metric: str = "copying", smallest: bool = False
) -> Definition:
    return Definition(
        metric=metric,
        definition=definition,
        meaning=meaning,
        source=source,
        unit=FRACTION,
        measure=OfRanks(most, smallest),
        chance=partial(_one_in_vocabulary, most=most),
        ideal=1.0,
        nulls=("gaussian", "step_0"),
        closed_form=of_circuits.copying("bottom" if smallest else "top"),
        random_mean=True,
    )


def _long_prefix(prefix: int, number: str) -> Definition:
    def template(tokens: Tokens) -> Template:
        return mass(induction.targets(tokens.tokens, tokens.first, prefix))

    return Definition(
        metric="long_prefix",
        definition=f"match_{prefix}",
        meaning=f"attention to what followed earlier occurrences of the query's last {number} tokens, averaged over "
        "queries that have any",
        source=LONG_PREFIX,
        unit=PROBABILITY,
        measure=OfPattern(template),
        nulls=("step_0",),
        closed_form=counted(f"match_{prefix}", "mass"),
    )


def _near(tokens: Tokens) -> Template | None:
    return None if tokens.near_targets is None else mass(tokens.near_targets)


def _diagonal_z(metric: str, circuit: Literal["OV", "QK"], closed_form: Callable[[Case], Expected]) -> Definition:
    return Definition(
        metric=metric,
        definition="diagonal_z",
        meaning=DIAGONAL,
        source=OURS,
        unit=DEVIATIONS,
        measure=OfCircuit(circuit, copying.diagonal_z, relabelled_sd),
        chance=0.0,
        ideal=_projection,
        nulls=("rotation", "permuted_tokens", "gaussian", "step_0"),
        closed_form=closed_form,
        random_mean=True,
    )


def _relation(name: str, meaning: str) -> Definition:
    return Definition(
        metric="relation",
        definition=name,
        meaning="share of pairs of words, each one token, whose second is among the ten largest of the first one's row "
        f"of the OV circuit: {meaning}",
        source=RELATIONS,
        unit=FRACTION,
        measure=OfRelation(name, 10),
        chance=partial(_one_in_vocabulary, most=10),
        ideal=1.0,
        nulls=("permuted_tokens", "step_0"),
        closed_form=of_circuits.relation,
    )


def _without_begin(entry: Definition) -> Iterator[Definition]:
    """Yield the twin of a score of patterns, of what attention does not rest on [BEGIN]."""
    if isinstance(entry.measure, OfPattern) and entry.metric != "first_token" and entry.source != DETECTOR:
        yield replace(
            entry,
            definition=f"{entry.definition}_no_begin",
            meaning=f"{entry.definition} of attention given that it does not rest on [BEGIN]: rows without its column, "
            "summing to 1; a row that rests there wholly does not count",
            source=OURS,
            measure=replace(entry.measure, turned=None, begin=False),
            threshold=math.nan,
            nulls=("step_0",) if entry.nulls else (),
            closed_form=None if entry.closed_form is None else of_patterns.without_begin(entry.closed_form),
        )


def _after_mlp0(entry: Definition) -> Iterator[Definition]:
    """Yield the twin of a score that reads tokens, of tokens as the first feed-forward part leaves them."""
    measure = entry.measure
    circuit = isinstance(measure, OfCircuit) and measure.circuit != "stream"
    if circuit or isinstance(measure, OfRanks | OfRelation):
        drawn = ("rotation", "permuted_tokens") if circuit else ("gaussian", "permuted_tokens")
        yield replace(
            entry,
            definition=f"{entry.definition}_after_mlp0",
            meaning=f"{entry.meaning}; tokens being read as the first feed-forward part leaves them; not of layer 0",
            source=f"{entry.source}; after {EFFECTIVE}",
            measure=replace(measure, emb_mode="after_mlp0"),
            nulls=tuple(null_kind for null_kind in entry.nulls if null_kind in drawn),
            closed_form=of_circuits.after_mlp0,
        )


WHOLE = (
    Definition(
        metric="previous_token",
        definition="mean",
        meaning=MEAN,
        source=f"{OLSSON}; {ARENA}",
        unit=PROBABILITY,
        measure=_averaged(_previous, mass),
        threshold=0.4,
        nulls=("step_0",),
        closed_form=counted("previous_token", "mass"),
        on_challenges=True,
    ),
    *_detected("previous_token", _previous, {}),
    Definition(
        metric="current_token",
        definition="mean",
        meaning=MEAN,
        source=ARENA,
        unit=PROBABILITY,
        measure=_averaged(lambda tokens: head_patterns.current_token(tokens.tokens), mass),
        threshold=0.4,
        nulls=("step_0",),
        closed_form=counted("current_token", "mass"),
    ),
    Definition(
        metric="first_token",
        definition="mean",
        meaning=MEAN,
        source=ARENA,
        unit=PROBABILITY,
        measure=_averaged(lambda tokens: head_patterns.first_token(tokens.tokens), mass),
        threshold=0.4,
        nulls=("step_0",),
        closed_form=counted("first_token", "mass"),
    ),
    Definition(
        metric="duplicate_token",
        definition="mass",
        meaning=MASS,
        source=OURS,
        unit=PROBABILITY,
        measure=_averaged(_copies, mass),
        nulls=("step_0",),
        closed_form=counted("duplicate_token", "mass"),
    ),
    *_detected("duplicate_token", _copies, {}),
    Definition(
        metric="induction",
        definition="mass",
        meaning=MASS,
        source=OURS,
        unit=PROBABILITY,
        measure=_averaged(_targets, mass, lambda turned: turned.to_all / turned.queries),
        nulls=("permuted_tokens", "step_0"),
        closed_form=counted("induction", "mass"),
        on_challenges=True,
    ),
    Definition(
        metric="induction",
        definition="entry_mean",
        meaning="attention averaged over pairs of a query and a target",
        source=OLSSON,
        unit=PROBABILITY,
        measure=_averaged(_targets, entry_mean, lambda turned: turned.to_all / turned.pairs),
        nulls=("permuted_tokens", "step_0"),
        closed_form=counted("induction", "entry_mean"),
    ),
    Definition(
        metric="induction",
        definition="most_recent",
        meaning="attention to the latest target alone",
        source=OURS,
        unit=PROBABILITY,
        measure=_averaged(_targets, induction.most_recent, lambda turned: turned.to_latest / turned.queries),
        nulls=("permuted_tokens", "step_0"),
        closed_form=counted("induction", "most_recent"),
    ),
    Definition(
        metric="induction",
        definition="stripe",
        meaning="mean of the diagonal one short of the period",
        source=f"{DEMO}; {ARENA}",
        unit=PROBABILITY,
        measure=OfPattern(_stripe),
        threshold=0.4,
        nulls=("step_0",),
        closed_form=of_patterns.stripe,
        periodic=True,
    ),
    *_detected(
        "induction",
        _targets,
        {
            "detector_mul": lambda turned: turned.to_all / turned.positions,
            "detector_abs": lambda turned: (2 * turned.to_all - turned.pairs) / turned.positions,
        },
    ),
    *_rivals(1),
    *_rivals(2),
    _long_prefix(2, "two"),
    _long_prefix(3, "three"),
    Definition(
        metric="fuzzy_induction",
        definition="near",
        meaning="attention to what followed earlier tokens that are not the query's but among the nearest to it by the "
        "cosine of embeddings (score.near), averaged over queries that have any; on text",
        source=FUZZY,
        unit=PROBABILITY,
        measure=OfPattern(_near),
        nulls=("renamed_tokens", "step_0"),
        closed_form=of_patterns.fuzzy,
    ),
    Definition(
        metric="distance",
        definition="mean",
        meaning="positions that attention goes back, averaged over queries",
        source=HEADVIS,
        unit="tokens",
        measure=OfPattern(lambda tokens: head_patterns.distance(tokens.tokens)),
        nulls=("step_0",),
        closed_form=of_patterns.distance,
    ),
)
ATTENTION = (*WHOLE, *(twin for entry in WHOLE for twin in _without_begin(entry)))

PASSES = (
    Definition(
        metric="entropy",
        definition="of_even",
        meaning="mean entropy of attention over that of even attention",
        source=HEADVIS,
        unit=NONE,
        measure=OfPass(Pass.entropy),
        chance=1.0,
        nulls=("step_0",),
        closed_form=of_patterns.entropy,
    ),
    Definition(
        metric="inactive",
        definition="output_norm",
        meaning="1 - mean length of what the head writes, over the mean of its layer's heads",
        source=INACTIVE,
        unit=NONE,
        measure=OfPass(Pass.inactivity),
        chance=0.0,
        ideal=1.0,
        nulls=("step_0",),
        closed_form=of_patterns.inactivity,
    ),
    Definition(
        metric="direct_copying",
        definition="attended_logit",
        meaning="what the head adds to the logits of the tokens it attends to, [BEGIN] left out, less the mean over "
        "tokens, weighted by attention; what the last norm divides by is held; below 0 for copy suppression",
        source=f"after {IOI}; {SUPPRESSION}",
        unit=LOGITS,
        measure=OfPass(Pass.attended_logits),
        nulls=("step_0",),
        closed_form=of_patterns.attended_logit,
    ),
    Definition(
        metric="direct_copying",
        definition="chosen_logit",
        meaning="attended_logit less what the head's mean output in a sentence adds to what it attends to there on "
        "average: logits that follow its attention, not those of tokens that it raises wherever it looks",
        source=f"after {IOI}",
        unit=LOGITS,
        measure=OfPass(Pass.chosen_logits, Pass.turned_logits),
        chance=0.0,
        nulls=("rotation", "step_0"),
        closed_form=of_patterns.chosen_logit,
    ),
)

WORDS = (
    _relation("days", "a day of the week and the next"),
    _relation("months", "a month and the next"),
    _relation("numbers", "a number in letters, cardinal or ordinal, and the next"),
    _relation("numerals", "a number in digits and the next"),
    _relation("letters", "a letter and the next"),
    _relation("capitals", "a country and its capital"),
    _relation("lower_case", "a word with a capital letter and the same without"),
)

WEIGHTS = (
    Definition(
        metric="previous_token",
        definition="positional",
        meaning="attention averaged over queries, by the position-position scores alone",
        source=ARENA,
        unit=PROBABILITY,
        measure=OfPositions(positional.mean_attention, despite_norms=False),
        chance=_even_positions,
        ideal=1.0,
        nulls=("step_0",),
        closed_form=of_circuits.positional,
    ),
    Definition(
        metric="previous_token",
        definition="recall",
        meaning="share of positions whose position-position score is largest at the one before, future ones included",
        source=BIETTI,
        unit=FRACTION,
        measure=OfPositions(positional.recall),
        chance=_one_in_positions,
        ideal=1.0,
        nulls=("gaussian", "step_0"),
        closed_form=of_circuits.recall,
    ),
    Definition(
        metric="previous_token",
        definition="recall_64",
        meaning="recall among the first 64 positions",
        source=BIETTI,
        unit=FRACTION,
        measure=OfPositions(positional.recall, 64),
        chance=partial(_one_in_positions, positions=64),
        ideal=1.0,
        nulls=("gaussian", "step_0"),
        closed_form=of_circuits.recall,
    ),
    Definition(
        metric="induction",
        definition="prefix_trace",
        meaning="trace of the token-to-token circuit that matches a query with what earlier heads copied to a key, "
        "each weighted by its attention to the token before",
        source=OLSSON,
        unit=NONE,
        measure=OfPrefixes(copying.trace),
        chance=0.0,
        nulls=("rotation",),
        closed_form=of_circuits.prefix_trace,
    ),
    Definition(
        metric="induction",
        definition="prefix_ratio",
        meaning=f"{RATIO}, of the circuit of prefix_trace",
        source=OURS,
        unit=NONE,
        measure=OfPrefixes(copying.eigenvalue),
        chance=0.0,
        ideal=1.0,
        nulls=("rotation",),
        closed_form=of_circuits.prefix_ratio,
    ),
    Definition(
        metric="copying",
        definition="eigenvalue",
        meaning=RATIO,
        source=FRAMEWORK,
        unit=NONE,
        measure=OfCircuit("OV", copying.eigenvalue),
        chance=0.0,
        ideal=1.0,
        nulls=("rotation", "gaussian", "step_0"),
        closed_form=of_circuits.copying("eigenvalue"),
        random_mean=True,
    ),
    Definition(
        metric="copying",
        definition="eigenvalue_stream",
        meaning=f"{RATIO} W_V W_O, without embedding and unembedding",
        source=DEMO,
        unit=NONE,
        measure=OfCircuit("stream", copying.eigenvalue),
        chance=0.0,
        ideal=1.0,
        nulls=("rotation", "step_0"),
        closed_form=of_circuits.stream,
        random_mean=True,
    ),
    _diagonal_z("copying", "OV", of_circuits.copying("diagonal_z")),
    _ranked("top1", 1, "share of tokens that are largest in their own row of the circuit", f"{ARENA}; {BIETTI}"),
    _ranked("top5", 5, "share of tokens among their own five largest", ARENA),
    _ranked(
        "bottom10",
        10,
        "share of tokens among the ten smallest of their own row of the circuit",
        SUPPRESSION,
        metric="copy_suppression",
        smallest=True,
    ),
    Definition(
        metric="copying",
        definition="top1_unigram",
        meaning="top1, each token counted as often as it occurs in the text",
        source=OURS,
        unit=FRACTION,
        measure=OfRanks(1, weighed_by_text=True),
        chance=_one_in_vocabulary,
        ideal=1.0,
        nulls=("gaussian",),
        closed_form=of_circuits.copying("top"),
    ),
    Definition(
        metric="copying",
        definition="olsson",
        meaning="4 a / (a + s) - 1: a the rise of attended tokens' logits, s of all the sample's",
        source=OLSSON,
        unit=NONE,
        measure=OfOutputs(copying.olsson_scores, copying.olsson_chance),
        ideal=1.0,
        nulls=("step_0",),
        closed_form=of_patterns.olsson,
        periodic=True,
    ),
    _diagonal_z("same_token_preference", "QK", of_circuits.same_token("diagonal_z")),
    Definition(
        metric="same_token_preference",
        definition="eigenvalue",
        meaning=RATIO,
        source=FRAMEWORK,
        unit=NONE,
        measure=OfCircuit("QK", copying.eigenvalue),
        chance=0.0,
        ideal=1.0,
        nulls=("rotation", "gaussian", "step_0"),
        closed_form=of_circuits.same_token("eigenvalue"),
        random_mean=True,
    ),
)
BEHIND = tuple(twin for entry in (*WEIGHTS, *WORDS) for twin in _after_mlp0(entry))
