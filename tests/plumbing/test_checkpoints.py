import json

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline.plumbing.checkpoints import Checkpoint, look_at, sizes_of
from pipeline.plumbing.errors import ConfigError


def saved(folder, config, *files):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    for name in files:
        (folder / name).write_text("{}")
    return str(folder)


def test_a_folder_says_how_much_it_reads_and_whether_that_is_text(tmp_path):
    long = look_at(saved(tmp_path / "gpt2", {"n_positions": 1024, "n_ctx": 1024}, "tokenizer.json"))
    assert (long.name, long.longest, long.reads_text) == ("gpt2", 1024, True)
    assert long.overrides(128, [37, 53, 61]) == ("model=hub", f"model.path='{tmp_path}/gpt2'", "tokenizer=hub")
    short = look_at(saved(tmp_path / "llama", {"max_position_embeddings": 32}))
    assert (short.longest, short.reads_text) == (32, False)
    assert look_at(saved(tmp_path / "no_limit", {"n_positions": None})).longest is None


def test_what_does_not_fit_a_short_model_is_made_to_fit():
    overrides = dict(line.split("=", 1) for line in Checkpoint("x", 32, False).overrides(128, [37, 53, 61]))
    assert overrides["tokenizer"] == "none"
    assert overrides["data"] == "repeated_tokens"
    assert overrides["probe.periods"] == "[9,13,15]"  # twice each, and [BEGIN], in 32 tokens
    assert overrides["model.n_ctx"] == "32"
    with pytest.raises(ConfigError, match="reads 4 tokens; too few"):
        Checkpoint("x", 4, False).overrides(128, [37, 53, 61])


@pytest.mark.parametrize(
    ("path", "name"), [("owner/name", "name"), ("a b/c d:e", "c-d-e"), ("models/7b", "model-7b"), ("folder/", "model-")]
)
def test_an_experiment_is_called_after_the_end_of_the_path(path, name):
    assert Checkpoint(path, None, True).name == name


def test_a_name_in_the_hubs_cache_needs_no_network(tmp_path, monkeypatch):
    cache = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    with pytest.raises(ConfigError, match=rf"not in the hub's cache {cache}; .* hf download owner/small"):
        look_at("owner/small")
    revision = "0" * 40
    saved(cache / "models--owner--small/snapshots" / revision, {"n_positions": 64}, "tokenizer.json")
    (cache / "models--owner--small/refs").mkdir()
    (cache / "models--owner--small/refs/main").write_text(revision)
    assert look_at("owner/small") == Checkpoint("owner/small", 64, True)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nowhere", "there is no such folder"),
        ("owner/name/more", "there is no such folder"),
        ("{folder}/file", "is a file; name its folder"),
        ("{folder}/empty", "config.json cannot be read"),
        ("{folder}/torn", "config.json cannot be read"),
        ("{folder}/null", "holds no settings"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, path, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    saved(tmp_path / "torn", '{"n_positions": ')
    saved(tmp_path / "null", "null")
    with pytest.raises(ConfigError, match=message):
        look_at(path.format(folder=tmp_path))


@pytest.mark.parametrize("name", ["plain", "a,b", "two words", "a=b", "[x]", "(y)", "é", "a:b#c"])
def test_a_path_of_common_letters_reaches_hydra_as_it_is(name):
    (_, line, _) = Checkpoint(f"/models/{name}", None, True).overrides(128, [37])
    (parsed,) = OverridesParser.create().parse_overrides([line])
    assert parsed.value() == f"/models/{name}"


@pytest.mark.parametrize("letter", ["'", '"', "\\", "$"])
def test_a_path_that_hydra_would_read_otherwise_is_refused(letter):
    with pytest.raises(ConfigError, match="link it under another name"):
        look_at(f"/models/a{letter}b")


def test_sizes_are_told_in_each_familys_words(tmp_path):
    gpt2 = {"n_layer": 12, "n_head": 12, "n_embd": 768, "vocab_size": 50257, "n_inner": None, "n_positions": 1024}
    assert sizes_of(saved(tmp_path / "gpt2", gpt2), 4000) == {
        "model.n_layers": 12,
        "model.n_heads": 12,
        "model.d_model": 768,
        "tokenizer.d_vocab": 50257,
        "model.parameters": 50257 * 768 + 12 * 2 * 768**2,  # it does not say how wide feed-forward parts are
    }
    llama = {
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "hidden_size": 8,
        "vocab_size": 10,
        "intermediate_size": 16,
    }
    assert sizes_of(saved(tmp_path / "llama", llama), 4000)["model.parameters"] == 80 + 2 * (2 * 64 + 2 * 8 * 16)


@pytest.mark.parametrize("size", [None, "many", 1.5, True, [2]])
def test_a_size_that_is_no_number_is_left_out(tmp_path, size):
    told = sizes_of(saved(tmp_path / "strange", {"n_layer": size, "n_head": 2, "n_embd": 4, "vocab_size": 7}), 4000)
    assert told == {"model.n_heads": 2, "model.d_model": 4, "tokenizer.d_vocab": 7}


@pytest.mark.parametrize("longest", [10**7, 4001, 0, -1, "many", 1e3, True, [1]])
def test_positions_beyond_reason_are_refused(tmp_path, longest):
    path = saved(tmp_path / "rotary", {"max_position_embeddings": longest})
    with pytest.raises(ConfigError, match=r"config\.json says max_position_embeddings=.*limits\.positions=4000 may be"):
        sizes_of(path, 4000)


def test_positions_within_reason_and_none_are_not(tmp_path):
    assert sizes_of(saved(tmp_path / "long", {"max_position_embeddings": 4000, "n_ctx": None}), 4000) == {}
