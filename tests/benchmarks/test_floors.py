import pandas as pd
import torch

from pipeline.benchmarks import floors
from pipeline.benchmarks.floors import Product, Shape, after, products_of, seconds_of, sets_in, whole

SHAPE = Shape(n_layers=3, n_heads=2, d_model=8, d_head=4, d_ff=16, gated=False, d_vocab=50)
LENGTH = 5


def operations(passes, shape=SHAPE):
    return sum(product.operations for product in products_of(shape, passes))


def test_a_pass_takes_two_operations_a_token_and_parameter_and_what_attention_adds():
    parameters = 3 * (4 * 8 * 8 + 2 * 8 * 16)
    attention = 3 * 2 * 2 * (2 * LENGTH * LENGTH * 4)  # of layers, heads: scores, and values by the pattern
    expected = 7 * (2 * LENGTH * parameters + attention + 2 * 4 * 8 * 50)
    assert operations(whole(SHAPE, 7, LENGTH, 4)) == expected
    gated = Shape(3, 2, 8, 4, 16, gated=True, d_vocab=50)
    assert (
        operations(whole(gated, 1, LENGTH, 0), gated) - operations(whole(SHAPE, 1, LENGTH, 0)) == 2 * LENGTH * 3 * 128
    )


def test_after_a_head_come_its_feed_forward_part_and_the_later_layers():
    everywhere = [after(SHAPE, 1, LENGTH, layer, LENGTH) for layer in range(3)]
    assert [(passes.attention, passes.feed_forward) for passes in everywhere] == [(10, 15), (5, 10), (0, 5)]
    # At one place alone, the last layer needs keys and values of all, but queries and outputs of one.
    assert after(SHAPE, 2, LENGTH, 1, 1) == (LENGTH, 2 * 3, 2 * 6, 2, torch.float32)


def test_each_kind_of_product_is_timed_once_and_counts_as_often_as_it_is_needed(monkeypatch):
    timed = []

    def second(product, repeats):
        timed.append(product)
        return 0.5

    monkeypatch.setattr(floors, "_seconds_an_operation", second)
    one, other = Product(2, 3, 4, torch.float32, 10), Product(2, 3, 4, torch.float64, 6)
    assert seconds_of([one, other, one, Product(9, 9, 9, torch.float32, 0)], 3) == 13
    assert len(timed) == 2


def test_a_product_takes_time():
    assert 0 < seconds_of([Product(64, 64, 64, torch.float32, 1e9)], 1) < 60


def test_what_two_tables_have_of_a_set_counts_once():
    def rows(eval_set, sentences, period=None):
        return pd.DataFrame(
            [(eval_set, period, sentence, position) for sentence in range(sentences) for position in range(4)],
            columns=["eval_set", "period", "sentence", "position"],
        ).astype({"period": "Int64"})

    found = sets_in(pd.concat([rows("text", 2), rows("repeated_tokens", 3, 5), rows("demo", 1)]), rows("text", 6))
    assert found == {("text", None): (6, 4), ("repeated_tokens", 5): (3, 4)}
