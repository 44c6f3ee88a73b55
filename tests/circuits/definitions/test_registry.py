"""What is declared of every score holds together, and nothing is left out."""

import typing
from collections import Counter

import pytest

from pipeline.circuits.definitions import definition
from pipeline.circuits.definitions.definition import NullKind, OfLosses, OfPattern, OfPositions, OfPredictions, OfRanks
from pipeline.circuits.definitions.registry import DEFINITIONS, HEADS, MODELS, PAIRS, measured_as

ALL = (*HEADS, *PAIRS, *MODELS)
each = pytest.mark.parametrize("entry", ALL, ids=lambda entry: "_".join(entry.name))
ON_CHALLENGES_ALONE = {
    ("induction", f"{name}{twin}")
    for name in ("recent", "earlier", "same_context", "other_context")
    for twin in ("", "_no_begin")
}


def test_names_are_unique_and_every_definition_is_listed():
    assert not [name for name, times in Counter(entry.name for entry in ALL).items() if times > 1]
    assert list(DEFINITIONS.values()) == list(ALL)


@each
def test_a_definition_says_what_it_means_where_it_is_from_and_its_unit(entry):
    assert entry.meaning
    assert entry.source
    assert entry.unit


@each
def test_names_are_words_that_a_table_and_a_setting_can_hold(entry):
    assert all(part.isidentifier() for part in entry.name)


@pytest.mark.parametrize("entry", [*HEADS, *PAIRS], ids=lambda entry: "_".join(entry.name))
def test_a_score_of_heads_is_compared_with_chance_and_known_in_closed_form(entry):
    """But for attention to rivals, which only sequences made to mislead have."""
    if entry.name in ON_CHALLENGES_ALONE:
        assert entry.on_challenges
        assert not entry.nulls
        assert entry.closed_form is None
    else:
        assert entry.nulls
        assert entry.closed_form is not None


@each
def test_kinds_of_chance_are_named_once_and_are_kinds_there_are(entry):
    assert len(entry.nulls) == len(set(entry.nulls))
    assert set(entry.nulls) <= set(typing.get_args(NullKind))


def test_every_kind_of_chance_serves_a_score():
    assert {kind for entry in ALL for kind in entry.nulls} == set(typing.get_args(NullKind))


@each
def test_only_scores_of_sequences_are_measured_on_challenges(entry):
    if entry.on_challenges:
        assert isinstance(entry.measure, OfPattern | OfPredictions)
    if isinstance(entry.measure, OfPredictions):
        assert entry.on_challenges


def test_every_kind_of_measure_serves_a_score_and_each_score_is_of_one():
    kinds = typing.get_args(definition.Measure)
    assert {type(entry.measure) for entry in ALL} == set(kinds)
    assert sum(len(list(measured_as(kind, ALL))) for kind in kinds) == len(ALL)


def test_what_chance_needs_of_a_score_is_given():
    """Tokens that change places: what the score then is; Gaussian heads: a closed form of what to draw."""
    for entry, measure in measured_as(OfPattern, HEADS):
        assert ("permuted_tokens" in entry.nulls) == (measure.turned is not None)
    for entry, measure in measured_as(definition.OfPass, HEADS):
        assert ("rotation" in entry.nulls) == (measure.turned is not None)
    for entry, measure in measured_as(definition.OfCircuit, HEADS):
        assert ("permuted_tokens" in entry.nulls) == (measure.relabelled_sd is not None)
    gaussian = {entry.name for entry in HEADS if "gaussian" in entry.nulls}
    measures = (definition.OfCircuit, OfRanks, OfPositions)
    assert gaussian <= {entry.name for measure in measures for entry, _ in measured_as(measure, HEADS)}


def test_definitions_are_picked_by_how_they_are_measured():
    assert [entry.name for entry, _ in measured_as(OfLosses, ALL)] == [
        ("loss", "other"),
        ("loss", "first_copy"),
        ("loss", "second_copy"),
        ("loss", "copy_start"),
        ("in_context_learning", "late_minus_early"),
    ]
    assert all(entry.measure is measure for entry, measure in measured_as(OfPattern, ALL))
