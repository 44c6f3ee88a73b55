from made_up_rows import options

from pipeline.models.sequences import TOKEN_CLASSES
from pipeline.tables.train import TRAINING_CURVE

START = {"step": 0, "tokens": 0, "split": "heldout", "loss": 4.0, "learning_rate": 0.0}


def test_losses_lie_in_order_of_training_each_split_once(kept, refusal):
    """Batches of 64 tokens, and two measurements of two losses."""
    later = START | {"step": 5, "tokens": 5 * 64, "loss": 3.0}
    rows = kept(TRAINING_CURVE, later, later | {"split": "first_copy"}, START, START | {"split": "first_copy"})
    assert rows["tokens"].tolist() == [0, 0, 320, 320]
    assert rows["loss"].tolist() == [4, 4, 3, 3]
    assert "two rows share the key" in refusal(TRAINING_CURVE, START, START | {"loss": 5.0})


def test_nothing_measured_lies_below_0(refusal):
    for name in ("step", "tokens", "loss", "learning_rate"):
        assert refusal(TRAINING_CURVE, START | {name: -1}).endswith("is below 0")


def test_copies_are_told_apart_as_they_are_in_sequences():
    copies = options(TRAINING_CURVE, "split") - {"train", "heldout"}
    assert copies == {"first_copy", "second_copy"} & set(TOKEN_CLASSES)
