import math

import pytest
import torch
from untrained import model

from pipeline.circuits.definitions import definition
from pipeline.circuits.definitions.definition import Definition, level

ANY = lambda *arguments: torch.zeros(())  # noqa: E731


@pytest.mark.parametrize(
    ("measure", "eval_set"),
    [
        (definition.OfPattern(ANY), None),
        (definition.OfOutputs(ANY, ANY), None),
        (definition.OfPass(ANY), None),
        (definition.OfPredictions(ANY), None),
        (definition.OfLosses(ANY), None),
        (definition.OfCircuit("OV", ANY), "weights"),
        (definition.OfPositions(ANY), "weights"),
        (definition.OfRanks(1), "weights"),
        (definition.OfRelation("days", 1), "weights"),
        (definition.OfRanks(1, weighed_by_text=True), "text"),
        (definition.OfPrefixes(ANY), "text"),
        (definition.OfComposition("Q", "frobenius"), "weights"),
        (definition.OfPairCircuit("virtual", ANY), "weights"),
        (definition.OfPairRanks("virtual"), "weights"),
        (definition.OfPath(ANY), "text"),
    ],
)
def test_what_a_score_is_measured_on_follows_from_what_it_is_of(measure, eval_set):
    entry = Definition(
        metric="metric", definition="by_hand", meaning="a score", source="a test", unit="none", measure=measure
    )
    assert entry.eval_set == eval_set
    assert entry.name == ("metric", "by_hand")
    assert math.isnan(entry.chance)
    assert math.isnan(entry.ideal)


def test_a_level_is_a_number_or_worked_out_from_the_model():
    weights = model(0)
    assert level(0.25, weights) == 0.25
    assert level(lambda weights: 1 / weights.d_vocab, weights) == 1 / 12
