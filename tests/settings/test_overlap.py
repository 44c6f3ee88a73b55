import pytest


@pytest.mark.parametrize("name", ["tokens", "recalled_tokens", "active_neurons", "sentences"])
def test_nothing_stands_for_nothing(accepted, refusal, name):
    assert getattr(accepted("overlap", **{name: 1}), name) == 1
    assert refusal("overlap", **{name: 0}).startswith(f"overlap.{name}=0: input should be greater than or equal to 1")


@pytest.mark.parametrize("confidence", [0.0, 1.0])
def test_an_interval_is_neither_empty_nor_everything(refusal, confidence):
    assert refusal("overlap", confidence=confidence).startswith(f"overlap.confidence={confidence}: input should be")
