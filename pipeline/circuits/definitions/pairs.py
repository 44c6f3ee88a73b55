"""Every definition of a score of pairs of heads: one that writes, and one of a later layer that reads."""

import math
from typing import Literal

from pipeline.circuits.closed_forms import of_pairs
from pipeline.circuits.definitions.definition import Definition, OfComposition, OfPairCircuit, OfPairRanks, OfPath
from pipeline.circuits.definitions.sources import (
    ARENA,
    BIETTI,
    DIRECTIONS,
    FRACTION,
    FRAMEWORK,
    KERNEL,
    KERNELS,
    LOGITS,
    NATS,
    NONE,
    NORMS,
    OURS,
    RATIO,
    TALKING,
    TRANSFORMER_LENS,
)
from pipeline.circuits.definitions.views import Paths
from pipeline.circuits.scores import copying
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import PairCircuit


def _random(weights: Weights) -> float:
    return 1 / math.sqrt(weights.d_model)


def _all_of_it(weights: Weights) -> float:
    """A reader that takes in all that the source writes, where both weigh d_head directions alike.

    It is no upper bound: matrices that weigh few directions reach up to 1.
    """
    return 1 / math.sqrt(weights.d_head)


def _directions(weights: Weights) -> float:
    return float(min(weights.d_head, weights.d_model))


def _common_directions(weights: Weights) -> float:
    return _directions(weights) ** 2 / weights.d_model


def _beyond_random(weights: Weights) -> float:
    return _all_of_it(weights) - _random(weights)


def _one_in_vocabulary(weights: Weights) -> float:
    return 1 / weights.d_vocab


def _compositions(through: Literal["Q", "K", "V"]) -> tuple[Definition, ...]:
    return (
        Definition(
            metric=f"{through}_composition",
            definition="frobenius",
            meaning=NORMS,
            source=f"{FRAMEWORK}; {TRANSFORMER_LENS}",
            unit=NONE,
            measure=OfComposition(through, "frobenius"),
            chance=_random,
            ideal=_all_of_it,
            nulls=("rotation", "gaussian", "step_0"),
            closed_form=of_pairs.composition(through),
            random_mean=True,
        ),
        Definition(
            metric=f"{through}_composition",
            definition="above_chance",
            meaning=f"{NORMS}, minus that of random weights",
            source=FRAMEWORK,
            unit=NONE,
            measure=OfComposition(through, "above_chance"),
            chance=0.0,
            ideal=_beyond_random,
            nulls=("rotation", "gaussian", "step_0"),
            closed_form=of_pairs.composition(through, above_chance=True),
            random_mean=True,
        ),
        Definition(
            metric=f"{through}_composition",
            definition="projection_kernel",
            meaning=KERNEL,
            source=f"{KERNELS}; {TRANSFORMER_LENS}",
            unit=DIRECTIONS,
            measure=OfComposition(through, "projection_kernel"),
            chance=_common_directions,
            ideal=_directions,
            nulls=("rotation", "step_0"),
            closed_form=of_pairs.projection_kernel(through),
            random_mean=True,
        ),
        Definition(
            metric=f"{through}_composition",
            definition="largest_direction",
            meaning="the same norms, of the first head's singular direction alone for which they are largest",
            source=TALKING,
            unit=NONE,
            measure=OfComposition(through, "largest_direction"),
            ideal=_all_of_it,
            nulls=("rotation", "step_0"),
            closed_form=of_pairs.composition(through),
        ),
    )


def _ranked(metric: str, definition: str, measure: OfPairRanks, meaning: str, source: str) -> Definition:
    return Definition(
        metric=metric,
        definition=definition,
        meaning=meaning,
        source=source,
        unit=FRACTION,
        measure=measure,
        chance=_one_in_vocabulary,
        ideal=1.0,
        nulls=("permuted_tokens",),
        closed_form=(of_pairs.virtual if metric == "virtual" else of_pairs.matching)("top"),
        random_mean=True,
    )


def _signed(metric: PairCircuit) -> Definition:
    return Definition(
        metric=metric,
        definition="eigenvalue",
        meaning=RATIO,
        source=FRAMEWORK,
        unit=NONE,
        measure=OfPairCircuit(metric, copying.eigenvalue),
        chance=0.0,
        ideal=1.0,
        nulls=("rotation",),
        closed_form=(of_pairs.virtual if metric == "virtual" else of_pairs.matching)("eigenvalue"),
        random_mean=True,
    )


PAIRS = (
    *_compositions("Q"),
    *_compositions("K"),
    *_compositions("V"),
    _signed("K_circuit"),
    _ranked(
        "K_circuit",
        "top1_keys",
        OfPairRanks("K_circuit"),
        "share of query tokens that match their own copy best, of all copies",
        BIETTI,
    ),
    _ranked(
        "K_circuit",
        "top1_queries",
        OfPairRanks("K_circuit", transposed=True),
        "share of copies that their own token matches best, of all queries",
        ARENA,
    ),
    _signed("virtual"),
    _ranked(
        "virtual",
        "top1",
        OfPairRanks("virtual"),
        "share of tokens that are largest in their own row of the circuit",
        OURS,
    ),
    Definition(
        metric="virtual",
        definition="norm_share",
        meaning="size of the pair's output over the whole second layer's",
        source=OURS,
        unit=NONE,
        measure=OfPath(Paths.norm_shares),
        nulls=("step_0",),
        closed_form=of_pairs.norm_share,
    ),
    Definition(
        metric="virtual",
        definition="loss_removed",
        meaning="nats per token lost without the pair's path to the logits; of models with norms, not measured",
        source=OURS,
        unit=NATS,
        measure=OfPath(Paths.losses_removed, despite_norms=False),
        nulls=("step_0",),
        closed_form=of_pairs.loss_removed,
    ),
    Definition(
        metric="virtual",
        definition="logit_contribution",
        meaning="what the pair's path adds to the logit of the token that comes, less its mean over tokens; what norms "
        "divide by is held",
        source=OURS,
        unit=LOGITS,
        measure=OfPath(Paths.logit_contributions),
        nulls=("step_0",),
        closed_form=of_pairs.logit_contribution,
    ),
)
