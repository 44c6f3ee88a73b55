import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_checkpoints import CHECKPOINTS, D_VOCAB, model_of
from weights_frame import weights_frame

from pipeline import verify
from pipeline.circuits.closed_forms.wiring import CIRCUITS, Construction
from pipeline.circuits.gates import checks, disagreement
from pipeline.circuits.transformer import attention
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.constructed import constructed
from pipeline.models.families import to_weights
from pipeline.plumbing.artefacts import Paths, read, read_file, write
from pipeline.settings.verify import VerifySettings
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.verify import CHECKS

LENGTH, SENTENCES, N_HEADS = 9, 5, 2
SETTINGS = {
    "sentences": 3,
    "batch": 2,
    "apart": 2,
    "dense_tokens": 20,
    "seed": 0,
    "tolerance": {
        "terms": 1e-7,
        "pattern": 1e-8,
        "logits": 1e-7,
        "parts": 1e-7,
        "paths": 1e-6,
        "orders": 1e-6,
        "factored": 1e-6,
        "gauge": 1e-6,
    },
    "threads": 1,
}


def sequences():
    ids = torch.randint(D_VOCAB, (SENTENCES, LENGTH), generator=torch.Generator().manual_seed(1)).numpy()
    sentence, position = np.indices(ids.shape).reshape(2, -1)
    frame = pd.DataFrame({"sentence": sentence, "position": position, "token_id": ids.ravel()})
    shown = "t" + frame["token_id"].astype(str)
    return frame.assign(eval_set="text", period=None, token=shown, token_class="other")


def save_toy(folder, positions="queries_and_keys", n_layers=2, edit=lambda tensors: None):
    shape = {"n_layers": n_layers, "n_heads": N_HEADS, "d_model": 8, "n_ctx": LENGTH, "d_vocab": D_VOCAB}
    config = {"model_type": "attention_only", "positions": positions, "tied": False, "step": 7, **shape}
    generator = torch.Generator().manual_seed(0)
    parameters = AttentionOnly(AttentionOnlyConfig.from_dict(config)).state_dict()
    tensors = {name: torch.randn(x.shape, generator=generator) / 2 for name, x in parameters.items()}
    edit(tensors)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


def save_constructed(folder, circuit, basis):
    gains = {"offset": 1, "position_gain": 20.0, "match_gain": 20.0, "copy_gain": 10.0}
    shape = {"n_heads": 2, "d_model": 128, "n_ctx": LENGTH, "d_vocab": D_VOCAB}
    model = constructed(Construction(circuit, basis, **shape, **gains), torch.Generator().manual_seed(0))
    save_file(model.state_dict(), folder / "model.safetensors")
    config = asdict(model.config) | {"model_type": "attention_only", "step": 0}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.fixture
def run(tmp_path):
    names = ("weights.parquet", "sequences.parquet", "config.json", "model.safetensors")
    inputs, outputs = Paths([tmp_path / name for name in names]), Paths([tmp_path / "checks.parquet"])

    def run_on(name="toy", spoil=lambda weights: weights, settings=SETTINGS, **options):
        if name == "toy":
            save_toy(tmp_path, **options)
        elif name == "constructed":
            save_constructed(tmp_path, *options["construction"])
        else:
            model_of(name).save_pretrained(tmp_path)
        config = json.loads((tmp_path / "config.json").read_text())
        weights = to_weights(config, load_file(tmp_path / "model.safetensors").__getitem__)
        write(WEIGHTS, weights_frame(spoil(weights)), inputs)
        write(SEQUENCES, sequences(), inputs)
        verify.run(VerifySettings.parse(settings), inputs, outputs)
        return read(CHECKS, outputs)

    return run_on


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_every_check_of_a_toy_passes(run, n_layers):
    checks = run(n_layers=n_layers)
    assert checks["passed"].all()
    assert set(checks["check"]) == {"terms", "pattern", "logits", "parts", "orders", "factored", "gauge"} | (
        {"paths"} if n_layers <= 2 else set()
    )
    counts = checks.groupby("check")["quantity"].size()
    assert counts[["terms", "pattern", "logits", "orders"]].tolist() == [n_layers * N_HEADS, n_layers * N_HEADS, 1, 1]
    gauge = checks[checks["check"] == "gauge"].groupby("layer")["quantity"].agg(set)
    assert {"pattern", "output", "terms", "copying_eigenvalue", "copying_top1"} <= gauge[0]
    assert [{"composition_Q", "composition_K", "composition_V"} <= quantities for quantities in gauge] == [
        layer > 0 for layer in range(n_layers)
    ]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_model_of_every_family_passes(run, name):
    checks = run(name)
    assert checks["passed"].all()
    summed = set() if name in ("bert", "gemma2") else {"parts", "orders"}
    assert set(checks["check"]) == {"terms", "pattern", "logits", "factored", "gauge"} | summed


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("W_Q", r"check terms of head 0\.0: largest error of scores [\d.e-]+, tolerance 1e-07 "),
        ("W_V", r"check terms of head 1\.0: "),  # layer 1 reads what layer 0 writes
        ("W_U", r"check logits: largest error of logits [\d.e-]+, tolerance 1e-07 "),
    ],
)
def test_weights_that_are_not_the_models_stop_the_run_and_leave_their_table(run, tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        run(spoil=lambda weights: replace(weights, **{name: getattr(weights, name) * 1.01}))
    assert not (tmp_path / "checks.parquet").exists()
    left = read_file(replace(CHECKS, name="failed_checks"), tmp_path / "failed_checks.parquet")
    assert not left["passed"].all()
    assert left["passed"].any()
    assert run()["passed"].all()
    assert not (tmp_path / "failed_checks.parquet").exists()


def test_the_head_that_fails_is_named(run):
    def spoil(weights):
        weights.W_K[1, 1] *= 1.01
        return weights

    with pytest.raises(ValueError, match=r"check terms of head 1\.1: "):
        run(spoil=spoil)


def failing(run, monkeypatch, place, name, wrong):
    """The message of a run in which one function is another."""
    monkeypatch.setattr(place, name, wrong(getattr(place, name)))
    with pytest.raises(ValueError, match="check") as failure:
        run()
    return str(failure.value)


def test_a_path_that_is_lost_fails(run, monkeypatch):
    lost = lambda paths: lambda *args: paths(*args)[:, 1:]  # noqa: E731
    assert failing(run, monkeypatch, checks, "path_outputs", lost).startswith("check paths: largest error of logits")


def test_an_order_that_is_lost_fails(run, monkeypatch):
    lost = lambda streams: lambda *args: streams(*args)[:, :-1]  # noqa: E731
    assert failing(run, monkeypatch, checks, "order_streams", lost).startswith("check orders: largest error of loss")


def test_a_wrong_pattern_fails(run, monkeypatch):
    blurred = lambda pattern: lambda scores, *how: pattern(0.99 * scores, *how)  # noqa: E731
    assert failing(run, monkeypatch, attention, "pattern", blurred).startswith("check pattern of head 0.0: ")


def flipped(grams):
    """Circuits whose columns stand in the opposite order."""
    return SimpleNamespace(of=lambda rows, columns: grams.of(rows, columns.flip(0)))


@pytest.mark.parametrize(
    ("name", "wrong", "quantity"),
    [
        # The wrong end of the factors: W_V and W_O swapped, as for column vectors.
        ("Grams", lambda grams: flipped(grams), "copying_eigenvalue"),
        ("diagonal_z", lambda score: lambda circuit: score(circuit) * 1.001, "copying_diagonal_z"),
        ("diagonal_rank", lambda rank: lambda *args: rank(*args) + 1, "copying_top1"),
    ],
)
def test_a_score_that_its_dense_matrix_does_not_give_fails(run, monkeypatch, name, wrong, quantity):
    message = failing(run, monkeypatch, disagreement, name, wrong)
    assert message.startswith("check factored of head 0.")
    assert quantity in message


def test_a_score_that_depends_on_how_a_head_is_written_down_fails(run, monkeypatch):
    """The norm of W_V is no property of what the model computes."""

    def dependent(circuit_scores):
        def scores(weights, layer, *args):
            by_name = circuit_scores(weights, layer, *args)
            norm = weights.W_V[layer].double().flatten(1).norm(dim=-1)
            return by_name | {("copying", "norm"): replace(next(iter(by_name.values())), value=norm)}

        return scores

    message = failing(run, monkeypatch, disagreement, "circuit_scores", dependent)
    assert message.startswith("check gauge of head 0.0: largest error of copying_norm")


def test_a_map_that_is_not_undone_fails(run, monkeypatch):
    def half(regauged):
        return lambda weights, generator: replace(regauged(weights, generator), W_O=weights.W_O)

    assert failing(run, monkeypatch, checks, "regauged", half).startswith("check gauge of head 0.0: ")


def test_portions_bound_memory_and_change_nothing(run):
    whole, portioned = run(settings=SETTINGS | {"batch": 3}), run(settings=SETTINGS | {"batch": 1})
    assert whole.drop(columns="max_abs_error").equals(portioned.drop(columns="max_abs_error"))


def test_heads_without_a_circuit_have_no_scores_and_pass(run):
    def silenced(tensors):
        tensors["blocks.0.project_qkv.weight"].zero_()
        tensors["blocks.1.project_output.weight"].zero_()

    assert run(edit=silenced)["passed"].all()


def test_tokens_that_no_circuit_tells_apart_pass(run):
    def alike(tensors):
        for name in ("token_embedding.weight", "unembedding.weight"):
            tensors[name][D_VOCAB // 2 :] = tensors[name][0]

    assert run(edit=alike)["passed"].all()


def test_circuits_that_are_rounding_alone_pass(run):
    """Heads read the first half of the stream, in a random basis, and write to the other half, which no one reads."""

    def separate(tensors):
        basis = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(3)))[0]
        first, second = basis[:4].T @ basis[:4], basis[4:].T @ basis[4:]
        for name in ("token_embedding.weight", "pos_embedding.weight", "unembedding.weight"):
            tensors[name] = tensors[name] @ first
        for layer in range(2):
            name = f"blocks.{layer}.project_output.weight"
            tensors[name] = second @ tensors[name]

    assert run(edit=separate)["passed"].all()


def test_equal_inputs_give_equal_bytes(run, tmp_path):
    run()
    first = (tmp_path / "checks.parquet").read_bytes()
    run()
    assert (tmp_path / "checks.parquet").read_bytes() == first


@pytest.mark.parametrize("basis", ["one_hot", "random"])
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_networks_wired_by_hand_pass(run, circuit, basis):
    """Most of their circuits are zero, in a random basis but for rounding, and many entries tie."""
    assert run("constructed", construction=(circuit, basis))["passed"].all()
