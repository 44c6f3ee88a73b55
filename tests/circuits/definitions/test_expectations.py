import math

import pytest
import torch
from constructions import construction, repeated
from untrained import model

from pipeline.circuits.closed_forms.expected import DEPENDS
from pipeline.circuits.definitions.expectations import of_random, of_wired
from pipeline.circuits.definitions.registry import HEADS, PAIRS
from pipeline.circuits.transformer.weights import Weights

SETS = {("text", None): [repeated(5, 2)], ("repeated_text", None): [repeated(5, 2)]}
SETS |= {("repeated_tokens", period): [repeated(period, 2)] for period in (3, 5)}


def known(circuit):
    return list(of_wired(construction(circuit), SETS, 1))


def test_every_score_is_known_once():
    names = [
        (score.layer, score.pair, score.metric, score.definition, score.eval_set, score.period)
        for score in known("induction")
    ]
    assert len(names) == len(set(names))


def test_every_score_with_a_closed_form_is_known_on_every_set_it_is_measured_on():
    scores = [score for score in known("induction") if not score.pair and score.layer is not None]
    for entry in HEADS:
        sets = {(s.eval_set, s.period) for s in scores if (s.metric, s.definition) == entry.name}
        if entry.closed_form is None:
            assert not sets
        elif entry.eval_set is not None:
            assert sets == {(entry.eval_set, None)}
        elif entry.periodic:
            assert sets == {("repeated_tokens", 3), ("repeated_tokens", 5)}
        else:
            assert sets == set(SETS)
    pairs = {(s.metric, s.definition, s.eval_set) for s in known("induction") if s.pair and s.metric != "edge"}
    assert pairs == {(*entry.name, entry.eval_set) for entry in PAIRS}


def test_without_begin_in_the_sentences_no_score_leaves_it_out():
    twins = {False: 0, True: 0}
    for first in (0, 1):
        for score in of_wired(construction("induction"), SETS, first):
            twins[bool(first)] += score.definition.endswith("_no_begin")
    assert twins[False] == 0
    assert twins[True] > 0


def test_a_network_of_one_layer_has_no_pairs():
    scores = known("copy")
    assert not any(score.pair for score in scores)
    assert {score.layer for score in scores} == {0, None}


def test_losses_of_the_model_are_of_no_layer():
    """The networks' weights are those of the circuit: what is known of the whole is its loss."""
    metrics = {(score.metric, score.definition) for score in known("copy") if score.layer is None}
    assert metrics == {("loss", "mean"), ("loss", "order_0"), ("loss", "order_1")}


def sized(d_vocab, d_model):
    tall, W_O = torch.zeros(1, 1, d_model, 2), torch.zeros(1, 1, 2, d_model)
    return Weights("none", torch.zeros(d_vocab, d_model), torch.zeros(d_model, d_vocab), tall, tall, tall, W_O)


def test_random_weights_score_by_their_sizes():
    weights = sized(d_vocab=10, d_model=64)
    assert of_random(("Q_composition", "frobenius"), weights) == 1 / 8
    assert of_random(("Q_composition", "above_chance"), weights) == 0
    assert of_random(("copying", "top5"), weights) == 0.5
    assert of_random(("virtual", "eigenvalue"), weights) == 0
    assert of_random(("induction", "mass"), weights) == DEPENDS
    assert of_random(("loss", "mean"), weights) == DEPENDS  # no score of a definition of its own


RANDOM = [entry for entry in (*HEADS, *PAIRS) if entry.random_mean]


@pytest.mark.parametrize("entry", RANDOM, ids=lambda entry: "_".join(entry.name))
def test_a_mean_over_random_weights_is_a_number(entry):
    assert math.isfinite(of_random(entry.name, model(0)))
