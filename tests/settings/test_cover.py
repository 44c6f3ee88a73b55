import pytest


@pytest.mark.parametrize("name", ["sentences", "positions", "draws", "heads", "batch"])
def test_nothing_is_measured_on_nothing(accepted, refusal, name):
    assert getattr(accepted("cover", **{name: 1}), name) == 1
    assert refusal("cover", **{name: 0}).startswith(f"cover.{name}=0: input should be greater than or equal to 1")


def test_the_heads_are_those_that_are_ablated(accepted):
    assert (accepted("cover").heads, accepted("cover").best_heads) == (
        accepted("ablate").heads,
        accepted("ablate").best_heads,
    )


def test_no_share_is_formed_of_nothing(refusal):
    assert refusal("cover", least_effect=0.0).startswith("cover.least_effect=0.0: input should be greater than 0")
