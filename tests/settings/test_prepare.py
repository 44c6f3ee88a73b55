import pytest
from training_stages import RANDOM

from pipeline.settings.prepare import PrepareSettings

TEXT = {"kind": "text_files", "paths": ["x"], "document_characters": 9, "heldout_fraction": 0.3}
IDS = {"kind": "none", "d_vocab": None}


def parsed(data=RANDOM, tokenizer=IDS, model_path=None, other=()):
    settings = {"data": data, "tokenizer": tokenizer, "other": list(other), "model_path": model_path, "threads": 1}
    return PrepareSettings.parse(settings)


@pytest.mark.parametrize(
    ("data", "tokenizer"), [(RANDOM, {"kind": "trained", "d_vocab": 300}), (TEXT, {"kind": "none", "d_vocab": 30})]
)
def test_ids_need_no_tokenizer_and_text_needs_one(data, tokenizer):
    with pytest.raises(ValueError, match="data=repeated_tokens needs tokenizer=none, and text needs another"):
        parsed(data, tokenizer)


@pytest.mark.parametrize("holds", [(), ("config.json", "tokenizer_config.json")])
def test_a_folder_without_a_tokenizer_says_how_to_name_one(holds, tmp_path):
    for name in holds:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=r"holds no tokenizer; name another .* tokenizer=none"):
        parsed(TEXT, {"kind": "hub", "name": str(tmp_path), "add_begin_and_end": False})


def test_a_package_that_is_not_installed_is_named_with_the_nearest():
    docs = {"kind": "python_docs", "packages": ["python", "numpi"], "min_characters": 9, "heldout_fraction": 0.3}
    named = pytest.raises(ValueError, match=r"numpi: no such package is installed; did you mean numpy\?")
    with named:
        parsed(docs, {"kind": "trained", "d_vocab": 300})
    with named:
        parsed(model_path="owner/name", other=["numpi"])


def test_a_model_trained_here_needs_a_number_of_tokens():
    with pytest.raises(ValueError, match=r"tokenizer\.d_vocab=null is an obtained model's vocabulary"):
        parsed()
    assert parsed(model_path="owner/name").model_path == "owner/name"


def test_the_workflow_watches_a_persons_own_files(tmp_path):
    texts = [tmp_path / name for name in ("a.txt", "b.txt")]
    for text in texts:
        text.write_text("text")
    (tmp_path / "tokenizer.json").write_text("{}")
    tokenizer = {"kind": "hub", "name": str(tmp_path), "add_begin_and_end": False}
    own = TEXT | {"paths": [str(tmp_path / "*.txt"), "missing.txt"]}
    assert parsed(own, tokenizer).files() == [*map(str, texts), "missing.txt", str(tmp_path / "tokenizer.json")]
    assert parsed(model_path=str(texts[0])).files() == [str(texts[0])]  # whose vocabulary is taken
    assert parsed(tokenizer=IDS | {"d_vocab": 30}, model_path=str(texts[0])).files() == []
