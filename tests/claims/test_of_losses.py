import pandas as pd
import pytest

from pipeline.claims.of_losses import (
    in_context_learning,
    induction_is_causal,
    late_text_is_harder,
    natural_repeats_gain,
    other_text_gain,
    second_copy_gain,
    single_heads_before_pairs,
    virtual_heads_matter,
)

LOSSES = ["eval_set", "token_class", "part", "sentence", "loss", "n"]
PAIR = ["src_layer", "src_head", "dst_layer", "dst_head"]


def losses(*rows, parts=10):
    return {"sentence_losses": pd.DataFrame(rows, columns=LOSSES).assign(parts=parts, period=None)}


def test_gain_is_weighted_by_tokens():
    rows = [("first_copy", 0, 0, 4.0, 1), ("first_copy", 1, 1, 2.0, 3), ("second_copy", 2, 1, 1.0, 2)]

    def tables(eval_set):
        return losses(*((eval_set, *row) for row in rows), ("text", "second_copy", 2, 1, 99.0, 2))

    finding = second_copy_gain(tables("repeated_text"))
    assert finding.value == pytest.approx(1.5)
    # Of the mean 2.5 of weights 1 and 3, sentences 0 and 1 move by 3/8 either way, sqrt(2) wider as there are but two.
    assert finding.number.influence.to_list() == pytest.approx([0.375 * 2**0.5, -0.375 * 2**0.5])
    assert natural_repeats_gain(tables("natural_repeats")).value == pytest.approx(1.5)
    assert other_text_gain(tables("other_repeated_text")).value == pytest.approx(1.5)
    assert other_text_gain(tables("natural_repeats")) is None


def test_the_virtual_head_that_matters_most_is_chosen_on_other_sentences():
    """0.1 -> 1.2 wins where it is chosen; elsewhere 0.0 -> 1.2 would."""
    names = ("virtual", "loss_removed", "text")
    by_sentence = {(0, 1, 1, 2): (0.05, 0.01), (0, 0, 1, 2): (0.02, 0.09)}
    rows = [(*pair, *names, n, values[n % 2], 1.0) for pair, values in by_sentence.items() for n in range(4)]
    columns = [*PAIR, "metric", "definition", "eval_set", "sentence", "value", "weight"]
    finding = virtual_heads_matter({"sentence_pairs": pd.DataFrame(rows, columns=columns)})
    assert finding.value == pytest.approx(0.01)
    assert finding.evidence == "0.1 -> 1.2: +0.0100 nats (+0.0500 where it was chosen)"


def orders(gains):
    rows = [("repeated_text", order, n, gain + 0.1 * n, 1) for order, gain in gains.items() for n in (0, 1)]
    rows += [("repeated_tokens", 1, 0, 9.0, 1)]
    return {"sentence_orders": pd.DataFrame(rows, columns=["eval_set", "order", "sentence", "value", "weight"])}


def test_the_second_order_is_compared_with_the_first():
    finding = single_heads_before_pairs(orders({0: 2.0, 1: 1.5, 2: 0.25}))
    assert finding.value == pytest.approx(1.25)
    assert finding.number.influence.abs().max() == pytest.approx(0)  # both orders gain more on the same sentence
    assert single_heads_before_pairs(orders({0: 2.0, 1: 1.5})) is None


def by_part(*means, tokens=1):
    """A sentence whose loss in each part is known, and which has ever more tokens."""
    return losses(
        *(("text", "other", part, 0, mean, tokens + part) for part, mean in enumerate(means)),
        ("repeated_text", "other", 1, 0, 99.0, 1),
        parts=len(means),
    )


def test_learning_from_context_is_early_minus_late_whatever_their_counts():
    tables = by_part(9, 5, 3, 3, 3, 3, 3, 3, 4, 2)
    assert in_context_learning(tables, (0.1, 0.2), (0.8, 1.0)).value == pytest.approx(5 - (4 * 9 + 2 * 10) / 19)
    assert in_context_learning(losses(), (0.1, 0.2), (0.9, 1.0)) is None
    assert in_context_learning(tables, (0.11, 0.19), (0.9, 1.0)) is None  # no part lies within


def test_late_text_is_compared_with_the_middle():
    finding = late_text_is_harder(by_part(9, 5, 3, 2, 2, 2, 3, 3, 4, 4), (0.3, 0.6), (0.8, 1.0))
    assert finding.value == pytest.approx(2)
    assert finding.evidence == "by part: 9.00 5.00 3.00 2.00 2.00 2.00 3.00 3.00 4.00 4.00"


def test_induction_heads_are_causal_by_what_all_of_them_spare_on_second_copies_beyond_novel_tokens():
    rows = [
        ("induction", "role", 2, "second_copy", 2.0),
        ("induction", "role", 2, "novel", 0.5),
        ("induction", "ranked", 1, "second_copy", 9.0),
        ("copying", "role", 1, "second_copy", 9.0),
    ]
    sets = [
        *((*row, "1.0 1.3") for row in rows),
        ("induction", "random_direction", 1, "second_copy", 9.0, "1.0"),
        ("induction", "random_direction", 2, "second_copy", 0.3, "1.0 1.3"),
        ("induction", "random_direction", 2, "novel", 0.2, "1.0 1.3"),
    ]
    columns, sentences = ["role", "kind", "size", "token_class"], [(*row, n) for row in rows for n in (1, 3)]
    tables = {
        "set_ablations": pd.DataFrame(sets, columns=[*columns, "difference", "heads"]),
        "sentence_sets": pd.DataFrame(sentences, columns=[*columns, "value", "sentence"]).assign(weight=1),
    }
    tables = {name: table.assign(eval_set="repeated_text") for name, table in tables.items()}
    finding = induction_is_causal(tables)
    assert (finding.value, finding.chance) == (1.5, pytest.approx(0.1))
    assert finding.evidence == "without 1.0 1.3: +2.000 nats on second copies, +0.500 on novel tokens"
    assert induction_is_causal({name: table[:0] for name, table in tables.items()}) is None


def test_a_model_without_copies_or_pairs_says_nothing():
    assert second_copy_gain(losses()) is None
    nothing = pd.DataFrame(columns=[*PAIR, "metric", "definition", "sentence", "value", "weight"])
    assert virtual_heads_matter({"sentence_pairs": nothing}) is None
