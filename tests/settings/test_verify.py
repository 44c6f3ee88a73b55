import pytest

from pipeline.settings.verify import Tolerance
from pipeline.tables.verify import CHECKS


@pytest.mark.parametrize("check", Tolerance.model_fields)
def test_two_computations_never_agree_to_the_last_bit(usual, refusal, check):
    tolerance = usual("verify")["tolerance"]
    line = refusal("verify", tolerance=tolerance | {check: 0})
    assert line == f"verify.tolerance.{check}=0: input should be greater than 0; conf/ has {tolerance[check]}"


@pytest.mark.parametrize("value", [0.02, 1e99])
def test_no_tolerance_switches_a_gate_off(usual, refusal, accepted, value):
    tolerance = usual("verify")["tolerance"]
    line = refusal("verify", tolerance=tolerance | {"logits": value})
    assert line.startswith(f"verify.tolerance.logits={value}: input should be less than or equal to 0.01")
    assert accepted("verify", tolerance=tolerance | {"logits": 0.01}).tolerance.logits == 0.01


def test_every_check_has_one_tolerance():
    (check,) = (column for column in CHECKS.columns if column.name == "check")
    assert tuple(Tolerance.model_fields) == check.options


def test_dense_matrices_stay_small(accepted, refusal):
    assert [accepted("verify", dense_tokens=n).dense_tokens for n in (2, 512)] == [2, 512]
    assert refusal("verify", dense_tokens=513).startswith("verify.dense_tokens=513: input should be less than")
    assert refusal("verify", dense_tokens=1).startswith("verify.dense_tokens=1: input should be greater than")
