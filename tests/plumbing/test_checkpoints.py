import json

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline.plumbing.checkpoints import Checkpoint, look_at
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
