import pandas as pd
import pyarrow as pa
import pytest
import torch
from weights_frame import weights_frame

from pipeline.circuits.transformer.weights import Weights
from pipeline.models.weights_table import weights_in, weights_of
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.tensors import sequences_of, to_frame
from pipeline.tables.extract import WEIGHTS


def test_every_entry_stands_in_the_row_of_its_indices():
    frame = to_frame("layer head", value=torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert frame.set_index(["layer", "head"])["value"].to_dict() == {(0, 0): 1, (0, 1): 2, (1, 0): 3, (1, 1): 4}


@pytest.mark.parametrize(
    ("axes", "shapes"), [("layer", [(2, 2)]), ("layer head", [(2, 2), (2, 3)])], ids=["axes", "shapes"]
)
def test_tensors_that_do_not_fit_are_refused(axes, shapes):
    with pytest.raises(ValueError, match="axes"):
        to_frame(axes, **{f"v{n}": torch.zeros(shape) for n, shape in enumerate(shapes)})


def test_weights_survive_the_table_whatever_their_shape(tmp_path):
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    weights = Weights(
        positions="residual",
        W_E=random(7, 4),
        W_U=random(4, 7),
        W_pos=random(5, 4),
        **{name: random(2, 3, 4, 6) for name in ("W_Q", "W_K", "W_V")},
        W_O=random(2, 3, 6, 4),
        b_Q=random(2, 3, 6),
        b_O=random(2, 4),
        ln_final_gain=random(4),
        ff_keys=random(2, 9, 4),
        ff_key_bias=random(2, 9),
        rotary_frequency=random(3),
        W_head=random(4, 4),
        b_head=random(4),
        b_U=random(7),
        activation="gelu_new",
        residual="parallel",
        window=5,
        ln_eps=1e-6,
    )
    paths = Paths([tmp_path / "weights.parquet"])
    write(WEIGHTS, weights_frame(weights), paths)
    back = weights_of(read(WEIGHTS, paths))
    for name, value in vars(weights).items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(getattr(back, name), value, rtol=0, atol=0)
        else:
            assert getattr(back, name) == value


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


def test_a_layer_cut_in_two_is_refused():
    weights = Weights("none", torch.ones(3, 2), torch.ones(2, 3), *[torch.ones(2, 1, 2, 2)] * 4)
    data = pa.Table.from_pandas(weights_frame(weights))
    cut = next(row for row in range(len(data)) if data["name"][row].as_py() == "W_Q") + 1
    with pytest.raises(ValueError, match="W_Q of layer 0 is not whole"):
        weights_in([data.slice(0, cut), data.slice(cut)])
