import pandas as pd
import pytest
import torch
from weights_frame import weights_frame

from pipeline import overlap
from pipeline.circuits.transformer.weights import Weights
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.overlap import OverlapSettings
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.overlap import OVERLAPS
from pipeline.tables.probe import SEQUENCES

D_VOCAB, D_MODEL, D_HEAD, LAYERS, HEADS, NEURONS = 30, 8, 4, 2, 2, 12
SETTINGS = {
    "tokens": 5,
    "recalled_tokens": 6,
    "active_neurons": 3,
    "sentences": 2,
    "confidence": 0.95,
    "seed": 0,
    "threads": 1,
}


def network(feed_forward=True):
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    tensors = {name: random(LAYERS, HEADS, D_MODEL, D_HEAD) for name in ("W_Q", "W_K", "W_V")}
    tensors |= {
        "W_E": random(D_VOCAB, D_MODEL),
        "W_U": random(D_MODEL, D_VOCAB),
        "W_O": random(LAYERS, HEADS, D_HEAD, D_MODEL),
    }
    if feed_forward:
        tensors |= {name: random(LAYERS, NEURONS, D_MODEL) for name in ("ff_keys", "ff_values")}
    return Weights("none", **tensors, activation="relu")


@pytest.fixture
def run(tmp_path):
    def run_on(weights, **settings):
        inputs = Paths([tmp_path / "weights.parquet", tmp_path / "sequences.parquet"])
        outputs = Paths([tmp_path / "overlaps.parquet"])
        write(WEIGHTS, weights_frame(weights), inputs)
        rows = [
            {"eval_set": "text", "period": None, "sentence": sentence, "position": position}
            | {"token_id": (7 * sentence + 3 * position) % D_VOCAB, "token": "a", "token_class": "other"}
            for sentence in range(3)
            for position in range(5)
        ]
        write(SEQUENCES, pd.DataFrame(rows).astype({"period": "Int64"}), inputs)
        overlap.run(OverlapSettings.parse(SETTINGS | settings), inputs, outputs)
        return read(OVERLAPS, outputs).set_index(["layer", "pair"])

    return run_on


def test_every_kind_of_pair_of_every_layer_is_compared(run):
    found = run(network())
    kinds = ["key_value", "query_key", "value_hidden", "value_output"]
    assert found.index.tolist() == [(layer, kind) for layer in range(LAYERS) for kind in kinds]
    assert found.loc[(0, "key_value"), ["k", "n"]].tolist() == [5, NEURONS]
    assert found.loc[(1, "query_key"), ["k", "n"]].tolist() == [5, HEADS * D_HEAD]
    assert found.loc[(1, "value_hidden"), ["k", "n"]].tolist() == [6, 2 * 5]
    assert (found["lo"] <= found["value"]).all()
    assert (found["value"] <= found["hi"]).all()
    assert set(run(network(feed_forward=False)).index.get_level_values("pair")) == {"query_key", "value_output"}


def test_vectors_that_are_one_overlap_fully_and_their_shuffled_pairs_do_not(run):
    weights = network()
    weights.W_K.copy_(weights.W_Q)
    weights.W_U.copy_(weights.W_E.T)
    weights.ff_values.copy_(-weights.ff_keys)  # opposite, but as large on every token
    found = run(weights)
    for kind in ("query_key", "key_value"):
        rows = found.xs(kind, level="pair")
        assert (rows["value"] == 1).all()
        assert (rows["lo"] == 1).all()
        assert (rows["chance"] < 0.5).all()


def test_a_set_of_the_whole_vocabulary_overlaps_by_chance_alike(run):
    found = run(network(), tokens=D_VOCAB, recalled_tokens=99)
    assert (found["value"] == 1).all()
    assert (found["chance"] == 1).all()


def test_the_same_inputs_give_the_same_bytes(run, tmp_path):
    run(network())
    first = (tmp_path / "overlaps.parquet").read_bytes()
    run(network())
    assert (tmp_path / "overlaps.parquet").read_bytes() == first


def test_intervals_are_as_sure_as_asked_and_say_so(run):
    sure, half = run(network(), confidence=0.95), run(network(), confidence=0.5)
    assert set(sure["confidence"]) == {0.95}
    assert set(half["confidence"]) == {0.5}
    # Of a normal distribution, 95 % lie within 1.960 deviations of the mean, and half within 0.674.
    widths = (half["hi"] - half["lo"]) / (sure["hi"] - sure["lo"])
    assert widths.tolist() == pytest.approx([0.67449 / 1.95996] * len(widths), rel=1e-4)
