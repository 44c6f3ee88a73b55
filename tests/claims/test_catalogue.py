"""A claim is one entry in the catalogue, one function, and one threshold in conf/judge."""

import inspect
from string import Formatter

import pytest

from pipeline.claims.catalogue import CLAIMS
from pipeline.plumbing.compose import compose
from pipeline.settings.judge import JudgeSettings

by_name = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)


def test_no_claim_is_made_twice():
    for field in ("name", "statement", "statistic"):
        assert len({getattr(claim, field) for claim in CLAIMS}) == len(CLAIMS)


def test_every_claim_has_a_threshold_and_every_threshold_a_claim():
    thresholds = compose((), (), "base", 0)["judge"]["thresholds"]
    assert set(thresholds) == {claim.name for claim in CLAIMS}


@by_name
def test_its_settings_are_those_of_the_stage_and_its_words_name_no_others(claim):
    assert set(claim.settings) <= set(JudgeSettings.model_fields)
    named = {name.split("[")[0] for _, name, _, _ in Formatter().parse(claim.statistic) if name}
    assert named <= set(claim.settings)


@by_name
def test_a_claim_says_what_it_claims_in_a_sentence_without_an_end(claim):
    assert claim.statement[0].isupper()
    assert not claim.statement.endswith(".")
    assert inspect.cleandoc(claim.statistic) == claim.statistic
