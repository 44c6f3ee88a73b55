import pandas as pd
import pytest

from pipeline.claims.of_losses import (
    in_context_learning,
    induction_is_causal,
    second_copy_gain,
    single_heads_before_pairs,
    virtual_heads_matter,
)

INDUCTION = {
    "head_scores": pd.DataFrame(
        [
            (layer, head, "induction", "mass", "repeated_tokens", period, value)
            for (layer, head), values in {(1, 0): (0.8, 0.7), (1, 1): (0.99, 0.1)}.items()
            for period, value in zip((37, 53), values, strict=True)
        ],
        columns=["layer", "head", "metric", "definition", "eval_set", "period", "value"],
    )
}


def test_gain_is_weighted_by_tokens():
    rows = [
        ("repeated_text", "first_copy", 4.0, 1),
        ("repeated_text", "first_copy", 2.0, 3),
        ("repeated_text", "second_copy", 1.0, 2),
    ]
    columns = ["eval_set", "token_class", "loss", "n"]
    tables = {"loss_by_position": pd.DataFrame(rows, columns=columns)}
    assert second_copy_gain(tables).value == pytest.approx(1.5)


def test_the_virtual_head_that_matters_most_is_named():
    columns = ["src_layer", "src_head", "dst_layer", "dst_head", "metric", "definition", "value", "chance"]
    rows = [(0, 1, 1, 2, "virtual", "loss_removed", 0.05, None), (0, 0, 1, 2, "virtual", "loss_removed", -0.5, None)]
    finding = virtual_heads_matter({"head_pairs": pd.DataFrame(rows, columns=columns)})
    assert finding.value == 0.05
    assert finding.evidence.startswith("0.1 -> 1.2")


def orders(gains):
    rows = [("repeated_text", "all", order, None, gain) for order, gain in gains.items()]
    rows += [("repeated_text", "all", None, "direct", 9.0), ("repeated_tokens", "all", 1, None, 9.0)]
    return {"term_orders": pd.DataFrame(rows, columns=["eval_set", "token_class", "order", "group", "gain"])}


def test_the_second_order_is_compared_with_the_first():
    assert single_heads_before_pairs(orders({0: 2.0, 1: 1.5, 2: 0.25})).value == 1.25
    assert single_heads_before_pairs(orders({0: 2.0, 1: 1.5})) is None


def test_learning_from_context_is_early_minus_late_whatever_their_counts():
    rows = [("text", position, 5.0 if position < 50 else 3.0, 1 + position) for position in range(100)]
    rows += [("repeated_text", 15, 99.0, 1)]
    table = pd.DataFrame(rows, columns=["eval_set", "position", "loss", "n"])
    assert in_context_learning({"loss_by_position": table}, (0.1, 0.2), (0.9, 1.0)).value == pytest.approx(2)
    assert in_context_learning({"loss_by_position": table[:0]}, (0.1, 0.2), (0.9, 1.0)) is None


def test_an_induction_head_is_causal_by_what_it_spares_on_second_copies_beyond_novel_tokens():
    columns = ["layer", "head", "method", "eval_set", "token_class", "difference"]
    rows = [
        (1, 0, "zero", "repeated_text", "second_copy", 2.0),
        (1, 0, "zero", "repeated_text", "novel", 0.5),
        (1, 0, "random_direction", "repeated_text", "second_copy", 0.3),
        (1, 0, "random_direction", "repeated_text", "novel", 0.2),
        (1, 1, "zero", "repeated_text", "second_copy", 9.0),
    ]
    tables = INDUCTION | {"ablations": pd.DataFrame(rows, columns=columns)}
    finding = induction_is_causal(tables)
    assert (finding.value, finding.chance) == (1.5, pytest.approx(0.1))
    assert induction_is_causal(INDUCTION | {"ablations": pd.DataFrame(columns=columns)}) is None


def test_positions_at_the_ends_of_a_share_count_as_begun_not_as_ended():
    """Of 30 positions, a tenth begins with the fourth, although 0.1 * 30 is no whole number in floating point."""
    losses = [1.0 if position in (3, 4, 5) else 2.0 if position >= 27 else 9.0 for position in range(30)]
    table = pd.DataFrame({"eval_set": "text", "position": range(30), "loss": losses, "n": 1})
    assert in_context_learning({"loss_by_position": table}, (0.1, 0.2), (0.9, 1.0)).value == -1


def test_a_model_without_copies_or_removed_heads_says_nothing():
    nothing = pd.DataFrame(columns=["eval_set", "token_class", "loss", "n", "metric", "definition", "value"])
    assert second_copy_gain({"loss_by_position": nothing}) is None
    assert virtual_heads_matter({"head_pairs": nothing}) is None
