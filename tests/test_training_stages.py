"""The stages that make a model, from text to weights, on tiny settings."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from pipeline import prepare, probe, train
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.plumbing.artefacts import Paths, read
from pipeline.plumbing.tensors import sequences_of
from pipeline.settings.prepare import PrepareSettings
from pipeline.settings.probe import ProbeSettings
from pipeline.settings.train import TrainSettings
from pipeline.tables.prepare import CORPUS, TOKENS, VOCABULARY
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.train import TRAINING_CURVE

RANDOM = {"kind": "repeated_tokens", "documents": 40, "document_tokens": 50, "seed": 0, "heldout_fraction": 0.2}
PREPARED = ("corpus.parquet", "tokens.parquet", "vocabulary.parquet", "tokenizer.json")
TRAINED = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "checkpoints.safetensors",
    "training_curve.parquet",
)
TRAINING = {
    "model": {
        "source": "trained",
        "n_layers": 2,
        "n_heads": 2,
        "d_model": 8,
        "n_ctx": 16,
        "positions": "queries_and_keys",
        "tied": False,
        "embedding_sd": 1.0,
        "position_sd": 1.0,
        "query_key_scale": 0.5,
    },
    "seed": 3,
    "steps": 12,
    "batch": 4,
    "learning_rate": 1e-3,
    "warmup_steps": 2,
    "decay_share": 0.5,
    "beta1": 0.9,
    "beta2": 0.98,
    "epsilon": 1e-8,
    "weight_decay": 0.0,
    "copies": {"fraction": 0.5, "min_length": 2, "max_length": 5},
    "first_checkpoint": 2,
    "checkpoints": 4,
    "curve": {"measurements": 3, "sentences": 4, "seed": 1},
    "save_every": 5,
    "device": "cpu",
    "precision": "float32",
    "threads": 1,
}
PROBING = {
    "seed": 1,
    "n_ctx": 16,
    "sentences": 5,
    "periods": [4, 7],
    "min_length": 2,
    "max_length": 5,
    "demo": " the cat sat",
    "threads": 1,
}


def made(folder, names):
    return Paths([folder / name for name in names], '{"spec": 1}')


def prepared(folder, data=RANDOM, tokenizer=None, model_path=None):
    settings = {
        "data": data,
        "tokenizer": tokenizer or {"kind": "none", "d_vocab": 30},
        "model_path": model_path,
        "threads": 1,
    }
    prepare.run(PrepareSettings.parse(settings), Paths([]), made(folder, PREPARED))
    return made(folder, PREPARED)


@pytest.fixture(scope="module")
def random_tokens(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("random_tokens"))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    words = ["the cat", " sat on the", " mat and", " a dog sat"]
    lines = [words[place % 4] + words[place % 3] + words[place * 7 % 4] for place in range(300)]
    (folder / "own.txt").write_text("\n".join(lines), encoding="utf-8")
    data = {
        "kind": "text_files",
        "paths": [str(folder / "*.txt")],
        "document_characters": 90,
        "heldout_fraction": 0.3,
    }
    return prepared(folder, data, {"kind": "trained", "d_vocab": 270})


def trained(inputs, folder, **changes):
    outputs = made(folder, TRAINED)
    train.run(TrainSettings.parse(TRAINING | changes), inputs, outputs)
    return outputs


def test_prepare_says_where_the_text_came_from(text):
    corpus, tokens = read(CORPUS, text), read(TOKENS, text)
    assert corpus["documents"].sum() == len(tokens)
    assert set(tokens["split"]) == {"train", "heldout"}
    assert read(VOCABULARY, text)["role"].tolist()[:3] == ["begin", "end", "text"]


def test_prepare_without_text_makes_ids(random_tokens):
    tokens = read(TOKENS, random_tokens)
    assert {len(ids) for ids in tokens["token_ids"]} == {50}
    assert min(min(ids) for ids in tokens["token_ids"]) == 2  # 0 and 1 are [BEGIN] and [END]


def test_prepare_needs_text_on_both_sides(tmp_path):
    with pytest.raises(ValueError, match="0 of 2 documents are held out"):
        prepared(tmp_path, RANDOM | {"documents": 2, "heldout_fraction": 1e-9})


def test_text_without_a_tokenizer_is_refused():
    settings = {"data": RANDOM, "tokenizer": {"kind": "trained", "d_vocab": 300}, "model_path": None, "threads": 1}
    with pytest.raises(ValueError, match="needs tokenizer=none"):
        PrepareSettings.parse(settings)


@pytest.mark.parametrize("kind", ["text", "random_tokens"])
def test_probe_draws_every_set(kind, tmp_path, request):
    outputs = made(tmp_path, ["sequences.parquet"])
    probe.run(ProbeSettings.parse(PROBING), request.getfixturevalue(kind), outputs)
    sequences = read(SEQUENCES, outputs)
    assert set(sequences["eval_set"]) == {"text", "repeated_text", "repeated_tokens", "demo"}
    for eval_set, period in (("text", None), ("repeated_text", None), ("repeated_tokens", 4), ("repeated_tokens", 7)):
        rows = sequences_of(sequences, eval_set, period)
        assert rows.shape == (5, 16)
        assert (rows[:, 0] == 0).all()
        if period:
            assert torch.equal(rows[:, 1 + period :], rows[:, 1:-period])
    demo = "".join(sequences_of(sequences, "demo", column="token")[0])
    assert demo.startswith("[BEGIN]ĠtheĠcatĠsat" if kind == "text" else "[BEGIN]")


def test_a_period_that_does_not_fit_twice_is_refused():
    with pytest.raises(ValueError, match="a block of 8 tokens does not fit twice into n_ctx=16; at most 7"):
        ProbeSettings.parse(PROBING | {"periods": [8]})


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
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(TRAINED)


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
    found = load_file(outputs.file("model.safetensors"))
    assert all(torch.equal(found[name], value) for name, value in state.items())
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
    assert sorted(file.name for file in (tmp_path / "obtained").iterdir()) == sorted(TRAINED)


def test_a_checkpoint_with_too_few_tokens_leaves_no_model_behind(save, random_tokens, tmp_path):
    folder, _ = save("gpt2")
    with pytest.raises(ValueError, match=r"knows 29 tokens, the tokenizer 30; .* tokenizer\.d_vocab=null"):
        trained(random_tokens, tmp_path / "obtained", model=hub(folder))
    assert not {"config.json", "model.safetensors"} & {file.name for file in (tmp_path / "obtained").iterdir()}


def test_prepare_names_every_row_of_a_padded_embedding(save, tmp_path):
    folder, _ = save("llama", shape={"vocab_size": 40})
    vocabulary = read(VOCABULARY, prepared(tmp_path, model_path=str(folder)))
    assert len(vocabulary) == 40
    assert vocabulary["token"].iloc[-1] == "<unused 39>"


@pytest.mark.parametrize("holds", [(), ("config.json", "tokenizer_config.json")])
def test_a_folder_without_a_tokenizer_says_how_to_name_one(holds, tmp_path):
    for name in holds:
        (tmp_path / name).write_text("{}")
    tokenizer = {"kind": "hub", "name": str(tmp_path), "add_begin_and_end": False}
    text = {"kind": "text_files", "paths": ["x"], "document_characters": 9, "heldout_fraction": 0.3}
    settings = {"data": text, "tokenizer": tokenizer, "model_path": None, "threads": 1}
    with pytest.raises(ValueError, match=r"holds no tokenizer; name another .* tokenizer=none"):
        PrepareSettings.parse(settings)


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


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="does not divide"):
        TrainSettings.parse(TRAINING | {"model": TRAINING["model"] | {"n_heads": 3}})
