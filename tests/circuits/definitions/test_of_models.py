import math

import pytest
import torch
from untrained import model

from pipeline.circuits.definitions.of_models import CLASSES, LOSSES, PREDICTIONS
from pipeline.circuits.definitions.views import Predictions, Tokens
from pipeline.circuits.transformer.forward import forward
from pipeline.models.sequences import TOKEN_CLASSES

WHOLE = (0.0, 1.0)
AMBIGUOUS = torch.tensor([[0, 1, 2, 9, 1, 3, 8, 1, 5]])


def test_classes_of_tokens_are_those_of_the_sequences():
    assert tuple(TOKEN_CLASSES) == CLASSES


def test_losses_are_averaged_over_tokens_of_their_class():
    losses = torch.tensor([[math.nan, 1.0, 2.0, 6.0], [math.nan, 3.0, 5.0, 7.0]], dtype=torch.float64)
    classes = torch.tensor([[0, 0, 1, 2], [0, 0, 2, 2]])
    values = {entry.name: float(entry.measure.function(losses, classes, ((0.0, 0.5), (0.75, 1.0)))) for entry in LOSSES}
    assert values["loss", "other"] == (1 + 3) / 2
    assert values["loss", "first_copy"] == 2
    assert values["loss", "second_copy"] == (6 + 5 + 7) / 3
    # Position 3 is late, position 1 early.
    assert values["in_context_learning", "late_minus_early"] == (6 + 7) / 2 - (1 + 3) / 2


def test_a_class_without_tokens_has_no_loss():
    losses, classes = torch.ones(1, 3, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.int64)
    values = {entry.name: float(entry.measure.function(losses, classes, (WHOLE, WHOLE))) for entry in LOSSES}
    assert values["loss", "other"] == 1
    assert math.isnan(values["loss", "first_copy"])


def of(context):
    tokens = Tokens(AMBIGUOUS, 1, context=context)
    return Predictions(forward(model(0), AMBIGUOUS), tokens)


@pytest.mark.parametrize("context", [None, 1, 2])
def test_rivals_are_compared_where_the_sequences_have_that_context(context):
    definitions = {1: "recent_minus_earlier", 2: "same_context_minus_other_context"}
    told = {entry.definition for entry in PREDICTIONS if entry.measure.function(of(context)) is not None}
    assert told == {"repeated", "novel"} | ({definitions[context]} if context else set())


def test_even_prediction_gives_the_chance():
    seen = of(1)
    chances = {entry.name: told[2] for entry in PREDICTIONS if (told := entry.measure.function(seen)) is not None}
    assert chances["loss", "repeated"] == chances["loss", "novel"] == pytest.approx(math.log(12))
    assert chances["accuracy", "repeated"] == 1 / 12
    assert chances["logit_difference", "recent_minus_earlier"] == 0
    assert chances["preference", "recent_minus_earlier"] == 0.5
