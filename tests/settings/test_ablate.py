import pytest

from pipeline.tables.columns import EVAL_SET


@pytest.mark.parametrize("name", ["sentences", "order_pairs"])
def test_of_what_is_compared_there_are_two(accepted, refusal, name):
    """Resampling takes another sentence's output; how orders differ, one pair does not tell."""
    assert getattr(accepted("ablate", **{name: 2}), name) == 2
    assert refusal("ablate", **{name: 1}).startswith(f"ablate.{name}=1: input should be greater than or equal to 2")


def test_on_every_set_of_which_heads_are_measured(accepted, refusal):
    losses_alone = ("other_text", "other_repeated_text")
    sets = [name for name in EVAL_SET.options if name not in ("demo", *losses_alone)]
    assert accepted("ablate", eval_sets=sets).eval_sets == tuple(sets)
    assert refusal("ablate", eval_sets=["demo"]).startswith("ablate.eval_sets.0=demo: input should be 'text'")
    assert refusal("ablate", eval_sets=[]).startswith("ablate.eval_sets=[]: ")


def test_edges_go_up_and_intervals_have_ends(refusal):
    assert refusal("ablate", layer_pairs=[[1, 0]]).endswith("[1, 0] is no layer and a later one; put the earlier first")
    assert "draw 200 or more" in refusal("ablate", confidence=0.99, resamples=199)
