import pytest


@pytest.mark.parametrize("levels", ["periods", "lengths", "gaps"])
def test_a_challenge_may_be_left_out(accepted, levels):
    assert getattr(accepted("challenge", **{levels: []}), levels) == ()


def test_copies_may_touch_but_a_block_or_sequence_of_nothing_is_none(accepted, refusal):
    assert accepted("challenge", gaps=[0, 4]).gaps == (0, 4)
    assert refusal("challenge", gaps=[0, -1]).startswith("challenge.gaps.1=-1: ")
    for levels in ("periods", "lengths"):
        assert refusal("challenge", **{levels: [5, 0]}).startswith(f"challenge.{levels}.1=0: ")


def test_the_shortest_sequence_holds_a_begin_token_and_three_more(accepted, refusal):
    assert accepted("challenge", n_ctx=4).n_ctx == 4
    assert refusal("challenge", n_ctx=3).startswith("challenge.n_ctx=3: input should be greater than or equal to 4")
