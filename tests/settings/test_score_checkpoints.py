import pytest


@pytest.mark.parametrize("part", ["early", "late"])
def test_a_part_of_a_sequence_begins_before_it_ends(accepted, refusal, part):
    assert getattr(accepted("score_checkpoints", **{part: [0, 1]}), part) == (0, 1)
    expected = f"score_checkpoints.{part}: [0.5, 0.4] is no part of a sequence; give two shares, the smaller first"
    assert refusal("score_checkpoints", **{part: [0.5, 0.4]}) == expected


def test_checkpoints_are_measured_on_something(refusal):
    expected = "score_checkpoints.sentences=0: input should be greater than or equal to 1"
    assert refusal("score_checkpoints", sentences=0).startswith(expected)
