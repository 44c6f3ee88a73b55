import pytest
from pydantic import ValidationError

from pipeline.claims.catalogue import CLAIMS
from pipeline.claims.emergence import EVENTS
from pipeline.plumbing.compose import compose
from pipeline.plumbing.errors import explain
from pipeline.settings.judge import JudgeSettings


@pytest.fixture
def usual():
    return compose((), (), "base", 0)["judge"] | {"experiments": ["base"]}


def refusal(settings, usual):
    with pytest.raises(ValidationError) as error:
        JudgeSettings.parse(settings)
    return explain("judge", settings, usual, error.value)


def test_each_claim_has_a_threshold(usual):
    parsed = JudgeSettings.parse(usual).thresholds.model_dump()
    assert parsed == {claim.name: usual["thresholds"][claim.name] for claim in CLAIMS}


def test_a_threshold_of_no_claim_and_a_claim_without_a_threshold_are_one_line_each(usual):
    unknown = usual | {"thresholds": usual["thresholds"] | {"inductoin": 0.5}}
    assert refusal(unknown, usual) == "judge.thresholds.inductoin: no such setting"
    missing = usual | {"thresholds": {name: 0.5 for name in usual["thresholds"] if name != "induction"}}
    assert refusal(missing, usual).startswith("judge.thresholds.induction: not set")


@pytest.mark.parametrize(("claim", "value"), [("induction", 1.5), ("copying", -1.5), ("k_composition", -0.1)])
def test_a_threshold_lies_where_its_claim_may(usual, claim, value):
    outside = usual | {"thresholds": usual["thresholds"] | {claim: value}}
    assert refusal(outside, usual).startswith(f"judge.thresholds.{claim}={value}: input should be")


def test_confidence_significance_and_shares_are_the_studys_own():
    wide = compose(("confidence=0.9", "significance=0.01", "score_checkpoints.early=[0.2,0.4]"), (), "base", 0)["judge"]
    assert (wide["confidence"], wide["significance"], wide["early"]) == (0.9, 0.01, [0.2, 0.4])


@pytest.mark.parametrize("share", [[0.9, 0.1], [0.5, 0.5], [-0.1, 0.2], [0.5, 1.5]])
def test_a_share_begins_before_it_ends_within_the_whole(usual, share):
    assert f"judge.late: {share} is no part of a sequence" in refusal(usual | {"late": share}, usual)


def test_a_window_of_one_step_is_none(usual):
    assert refusal(usual | {"window": 1.0}, usual).startswith("judge.window=1.0")


def test_every_event_of_training_has_a_smallest_rise(usual):
    assert set(JudgeSettings.parse(usual).smallest_rise.model_dump()) == set(EVENTS)
    for event in EVENTS:
        none = usual | {"smallest_rise": usual["smallest_rise"] | {event: 0.0}}
        assert refusal(none, usual).startswith(f"judge.smallest_rise.{event}=0.0: input should be greater than 0")
