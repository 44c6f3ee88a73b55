import pyarrow as pa
import pytest
import torch
from weights_frame import weights_frame

from pipeline.circuits.transformer.weights import Weights
from pipeline.frames.weights import is_vector, weight_parts, weights_in, weights_of
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.tables.extract import WEIGHTS


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


def test_a_layer_cut_in_two_is_refused():
    weights = Weights("none", torch.ones(3, 2), torch.ones(2, 3), *[torch.ones(2, 1, 2, 2)] * 4)
    data = pa.Table.from_pandas(weights_frame(weights))
    cut = next(row for row in range(len(data)) if data["name"][row].as_py() == "W_Q") + 1
    with pytest.raises(ValueError, match="W_Q of layer 0 is not whole"):
        weights_in([data.slice(0, cut), data.slice(cut)])


def test_a_row_of_the_table_is_a_row_of_its_matrix():
    each = [("W_Q", 0, torch.arange(12.0).reshape(2, 2, 3)), ("b_O", 0, torch.tensor([7.0, 8.0]))]
    rows = pa.concat_tables(weight_parts(each, {"window": 5, "activation": None})).to_pylist()
    assert [(row["name"], row["layer"], row["head"], row["row"], row["values"]) for row in rows] == [
        ("W_Q", 0, 0, 0, [0, 1, 2]),
        ("W_Q", 0, 0, 1, [3, 4, 5]),
        ("W_Q", 0, 1, 0, [6, 7, 8]),
        ("W_Q", 0, 1, 1, [9, 10, 11]),
        ("b_O", 0, None, 0, [7, 8]),
        ("setting:window:5", None, None, 0, []),
    ]


def test_vectors_are_told_by_their_names():
    vectors = ["b_Q", "b_E", "ln1_gain", "ln_final_bias", "ff_key_bias", "rotary_frequency"]
    assert all(is_vector(name) for name in vectors)
    assert not any(is_vector(name) for name in ("W_E", "W_pos", "W_Q", "ff_keys", "ff_values", "W_head"))
