from dataclasses import replace

import pytest
import torch
from weights_frame import weights_frame

from pipeline import align
from pipeline.circuits.transformer.weights import Weights
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.align import AlignSettings
from pipeline.tables.align import ALIGNMENT
from pipeline.tables.extract import WEIGHTS

D_VOCAB, D_MODEL, D_HEAD = 60, 8, 4


def network(seed):
    generator = torch.Generator().manual_seed(seed)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    tall = {name: random(2, 2, D_MODEL, D_HEAD) for name in ("W_Q", "W_K", "W_V")}
    return Weights(
        "none", random(D_VOCAB, D_MODEL), random(D_MODEL, D_VOCAB), W_O=random(2, 2, D_HEAD, D_MODEL), **tall
    )


def other_way_round(weights):
    """The same model in another basis of the stream, the heads of its layers exchanged."""
    R, _ = torch.linalg.qr(torch.randn(D_MODEL, D_MODEL, generator=torch.Generator().manual_seed(9)))
    tall = {name: (R.T @ getattr(weights, name)).flip(1) for name in ("W_Q", "W_K", "W_V")}
    return replace(weights, W_E=weights.W_E @ R, W_U=R.T @ weights.W_U, W_O=(weights.W_O @ R).flip(1), **tall)


@pytest.fixture
def run(tmp_path):
    def run_on(*runs):
        """Each run: experiment, seed, vocabulary, name of its weights, and those."""
        listed = []
        for experiment, seed, vocabulary, name, weights in runs:
            (tmp_path / name).mkdir(exist_ok=True)
            write(WEIGHTS, weights_frame(weights), Paths([tmp_path / name / "weights.parquet"]))
            listed.append({"experiment": experiment, "seed": seed, "vocabulary": vocabulary, "weights": name})
        settings = AlignSettings.parse({"seed": 0, "threads": 1, "runs": listed})
        inputs = Paths(sorted({tmp_path / each["weights"] / "weights.parquet" for each in listed}))
        align.run(settings, inputs, Paths([tmp_path / "alignment.parquet"]))
        return read(ALIGNMENT, Paths([tmp_path / "alignment.parquet"]))

    return run_on


def test_heads_of_one_model_in_two_guises_are_matched_by_the_vocabulary(run):
    found = run(("base", 0, "v", "a", network(0)), ("base", 3, "v", "b", other_way_round(network(0))))
    assert len(found) == 2 * 4 * 4 * 4
    assert (found.groupby(["space", "matrix"])["matched"].sum() == 4).all()
    circuits = found[found["matrix"].isin(["OV", "QK"]) & found["matched"]]
    seen, blind = (circuits[circuits["space"] == space] for space in ("vocabulary", "raw"))
    assert (seen["correlation"] > 0.999).all()
    assert (seen["layer_a"] == seen["layer_b"]).all()
    assert (seen["head_a"] != seen["head_b"]).all()
    assert (seen["chance"] < 0.5).all()
    assert blind["correlation"].max() < 0.9
    assert (found["seed_a"] == 0).all()
    assert (found["seed_b"] == 3).all()


def test_only_different_models_of_one_experiment_and_vocabulary_are_compared(run):
    runs = [
        ("base", 0, "v", "a", network(0)),
        ("base", 1, "v", "b", network(1)),
        ("base", 2, "v", "b", network(1)),
        ("base", 3, "w", "c", network(2)),
        ("other", 0, "v", "d", network(3)),
    ]
    pairs = run(*runs)[["experiment", "seed_a", "seed_b"]].drop_duplicates()
    assert pairs.to_numpy().tolist() == [["base", 0, 1], ["base", 0, 2]]
    assert run(runs[0], runs[4]).empty
