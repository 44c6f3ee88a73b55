import pandas as pd
import pytest
import torch

from pipeline.frames.tensors import sequences_of, sets_of, to_frame


def test_every_entry_stands_in_the_row_of_its_indices():
    frame = to_frame("layer head", value=torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert frame.set_index(["layer", "head"])["value"].to_dict() == {(0, 0): 1, (0, 1): 2, (1, 0): 3, (1, 1): 4}


@pytest.mark.parametrize(
    ("axes", "shapes"), [("layer", [(2, 2)]), ("layer head", [(2, 2), (2, 3)])], ids=["axes", "shapes"]
)
def test_tensors_that_do_not_fit_are_refused(axes, shapes):
    with pytest.raises(ValueError, match="axes"):
        to_frame(axes, **{f"v{n}": torch.zeros(shape) for n, shape in enumerate(shapes)})


def test_sequences_come_in_order_and_by_period():
    rows = [
        ("text", None, 0, 1, 5),
        ("text", None, 0, 0, 4),
        ("repeated_tokens", 3, 0, 0, 1),
        ("repeated_tokens", 3, 0, 1, 2),
    ]
    frame = pd.DataFrame(rows, columns=["eval_set", "period", "sentence", "position", "token_id"])
    frame["period"] = frame["period"].astype("Int64")
    assert sequences_of(frame, "text").tolist() == [[4, 5]]
    assert sequences_of(frame, "repeated_tokens", 3).tolist() == [[1, 2]]
    with pytest.raises(ValueError, match="period 4"):
        sequences_of(frame, "repeated_tokens", 4)


def test_sets_are_measured_in_one_order_and_the_demonstration_is_left_out():
    rows = [("text", None), ("repeated_tokens", 12), ("demo", None), ("repeated_tokens", 3), ("text", None)]
    frame = pd.DataFrame(rows, columns=["eval_set", "period"]).astype({"period": "Int64"})
    assert sets_of(frame) == [("repeated_tokens", 3), ("repeated_tokens", 12), ("text", None)]
