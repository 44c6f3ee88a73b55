import json
import math

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from training_stages import IN_FORMAT, TRAINED, TRAINING, prepared, prepared_text, trained

from pipeline import train
from pipeline.circuits.transformer.forward import forward
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.families import to_weights
from pipeline.models.own_forward import own_forward
from pipeline.plumbing.artefacts import read
from pipeline.tables.train import TRAINING_CURVE

WRITTEN = sorted([*TRAINED, *(f"{name}.made.json" for name in TRAINED if not name.endswith(".parquet"))])


@pytest.fixture(scope="module")
def random_tokens(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("random_tokens"))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return prepared_text(tmp_path_factory.mktemp("text"))


def test_train_leaves_a_model_its_past_and_its_losses(random_tokens, tmp_path):
    outputs = trained(random_tokens, tmp_path)
    config = json.loads(outputs.file("config.json").read_text())
    assert (config["model_type"], config["step"], config["d_vocab"]) == ("attention_only", 12, 30)
    final = load_file(outputs.file("model.safetensors"))
    AttentionOnly(AttentionOnlyConfig.from_dict(config)).load_state_dict(final)
    with safe_open(outputs.file("checkpoints.safetensors"), framework="pt") as checkpoints:
        steps = json.loads(checkpoints.metadata()["steps"])
        assert {name.split("/")[0] for name in checkpoints.keys()} == set(map(str, steps))  # noqa: SIM118
        assert all(torch.equal(checkpoints.get_tensor(f"12/{name}"), value) for name, value in final.items())
    curve = read(TRAINING_CURVE, outputs)
    assert set(curve["split"]) == {"train", "heldout", "first_copy", "second_copy"}
    assert set(steps) <= set(curve["step"])
    assert (curve["tokens"] == curve["step"] * 4 * 16).all()
    assert sorted(file.name for file in tmp_path.iterdir()) == WRITTEN


CONSTRUCTED = {
    "source": "constructed",
    "circuit": "induction",
    "basis": "random",
    "n_heads": 4,
    "d_model": 128,
    "n_ctx": 16,
    "offset": 1,
    "position_gain": 8.0,
    "match_gain": 12.0,
    "copy_gain": 6.0,
}


@pytest.mark.parametrize("model", [CONSTRUCTED, TRAINING["model"] | {"source": "random_init"}])
def test_a_model_that_is_not_trained_is_its_own_first_checkpoint(model, random_tokens, tmp_path):
    outputs = trained(random_tokens, tmp_path, model=model)
    final = load_file(outputs.file("model.safetensors"))
    config = json.loads(outputs.file("config.json").read_text())
    AttentionOnly(AttentionOnlyConfig.from_dict(config)).load_state_dict(final)
    assert config["step"] == 0
    checkpoints = load_file(outputs.file("checkpoints.safetensors"))
    assert set(checkpoints) == {f"0/{name}" for name in final}
    assert all(torch.equal(checkpoints[f"0/{name}"], value) for name, value in final.items())
    curve = read(TRAINING_CURVE, outputs)
    assert set(curve["step"]) == {0}
    assert (curve["learning_rate"] == 0).all()


@pytest.mark.parametrize("shape", [{"format": "gpt2", "n_kv_heads": 4}, {"format": "llama"}])
def test_a_model_in_a_format_of_the_library_is_left_as_its_checkpoints_are(shape, random_tokens, tmp_path):
    outputs = trained(random_tokens, tmp_path, model=IN_FORMAT | shape)
    config = json.loads(outputs.file("config.json").read_text())
    assert (config["model_type"], config["step"], config["vocab_size"]) == (shape["format"], 12, 30)
    tokens = torch.randint(30, (2, 16), generator=torch.Generator().manual_seed(0))
    own, final = own_forward(tmp_path)(tokens), load_file(outputs.file("model.safetensors"))
    weights = to_weights(config, final.__getitem__).double()
    torch.testing.assert_close(forward(weights, tokens).logits, own.logits)
    checkpoints = load_file(outputs.file("checkpoints.safetensors"))
    assert all(torch.equal(checkpoints[f"12/{name}"], value) for name, value in final.items())
    assert any(not torch.equal(checkpoints[f"0/{name}"], value) for name, value in final.items())
    heldout = read(TRAINING_CURVE, outputs).query("split == 'heldout'").set_index("step")["loss"]
    assert heldout[0] == pytest.approx(math.log(30), abs=0.1)


def test_random_init_is_where_training_begins(random_tokens, tmp_path):
    begun = trained(random_tokens, tmp_path / "begun")
    first = {
        name.removeprefix("0/"): value
        for name, value in load_file(begun.file("checkpoints.safetensors")).items()
        if name.startswith("0/")
    }
    untrained = trained(random_tokens, tmp_path / "untrained", model=TRAINING["model"] | {"source": "random_init"})
    assert all(
        torch.equal(first[name], value) for name, value in load_file(untrained.file("model.safetensors")).items()
    )


def test_a_constructed_model_predicts_copies(random_tokens, tmp_path):
    outputs = trained(random_tokens, tmp_path, model=CONSTRUCTED)
    losses = read(TRAINING_CURVE, outputs).set_index("split")["loss"]
    assert losses["second_copy"] < losses["first_copy"] - 1


def test_a_notebook_checkpoint_is_brought_into_the_folder(random_tokens, tmp_path):
    own = trained(random_tokens, tmp_path / "own", model=TRAINING["model"] | {"tied": True})
    state = load_file(own.file("model.safetensors"))
    torch.save(state, tmp_path / "model.pt")
    model = {"source": "notebook_checkpoint", "path": str(tmp_path / "model.pt"), "n_heads": 2, "n_ctx": 16}
    outputs = trained(random_tokens, tmp_path / "obtained", model=model)
    brought = load_file(outputs.file("model.safetensors"))
    assert all(torch.equal(brought[name], value) for name, value in state.items())
    assert read(TRAINING_CURVE, outputs).empty
    assert json.loads(outputs.file("config.json").read_text())["step"] is None


def test_a_model_with_too_few_tokens_is_refused(text, random_tokens, tmp_path):
    own = trained(random_tokens, tmp_path / "own", model=TRAINING["model"] | {"tied": True})
    torch.save(load_file(own.file("model.safetensors")), tmp_path / "model.pt")
    model = {"source": "notebook_checkpoint", "path": str(tmp_path / "model.pt"), "n_heads": 2, "n_ctx": 16}
    with pytest.raises(ValueError, match="knows 30 tokens, the tokenizer 270"):
        trained(text, tmp_path / "obtained", model=model)


def hub(folder):
    return {"source": "hub", "path": str(folder), "allow_bin": False, "n_ctx": 16}


def test_a_checkpoint_of_the_library_is_brought_into_the_folder(save, random_tokens, tmp_path, capsys):
    folder, _ = save("gpt_neox", spoil=lambda model: model.bfloat16(), shape={"vocab_size": 40})
    outputs = trained(random_tokens, tmp_path / "obtained", model=hub(folder))
    assert "40 tokens, weights BF16, read as float32" in capsys.readouterr().out
    assert read(TRAINING_CURVE, outputs).empty
    assert sorted(file.name for file in (tmp_path / "obtained").iterdir()) == WRITTEN


def test_a_checkpoint_with_too_few_tokens_leaves_no_model_behind(save, random_tokens, tmp_path):
    folder, _ = save("gpt2")
    with pytest.raises(ValueError, match=r"knows 29 tokens, the tokenizer 30; .* tokenizer\.d_vocab=null"):
        trained(random_tokens, tmp_path / "obtained", model=hub(folder))
    assert not {"config.json", "model.safetensors"} & {file.name for file in (tmp_path / "obtained").iterdir()}


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the code may catch it."""


def test_a_killed_run_goes_on_to_the_same_bytes(random_tokens, tmp_path, monkeypatch):
    whole = trained(random_tokens, tmp_path / "whole")
    note = train.Journal.note

    def dies_at_8(journal, training, loss=None):
        if training.step == 8:
            raise Killed
        note(journal, training, loss)

    monkeypatch.setattr(train.Journal, "note", dies_at_8)
    with pytest.raises(Killed):
        trained(random_tokens, tmp_path / "cut")
    started = []
    monkeypatch.setattr(train.Journal, "note", lambda *args: (started.append(args[1].step), note(*args)))
    cut = trained(random_tokens, tmp_path / "cut")
    assert started[0] == 6  # the last state was saved after step 5
    for name in TRAINED:
        assert cut.file(name).read_bytes() == whole.file(name).read_bytes()


def test_seeds_decide_weights_and_settings_without_effect_do_not(random_tokens, tmp_path):
    first = trained(random_tokens, tmp_path / "a").file("model.safetensors").read_bytes()
    same = trained(random_tokens, tmp_path / "b", save_every=3).file("model.safetensors").read_bytes()
    other = trained(random_tokens, tmp_path / "c", seed=4).file("model.safetensors").read_bytes()
    assert first == same
    assert first != other
