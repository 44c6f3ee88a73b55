import hashlib
import json

import pytest

from pipeline.models.tokenizer import (
    encode,
    id_tokenizer,
    loaded_tokenizer,
    role_ids,
    saved_tokenizer,
    spells_text,
    trained_tokenizer,
    vocabulary,
)

DOCUMENTS = ["the cat sat on the mat\n", "the dog sat on the log\n", "a cat and a dog"] * 20


@pytest.fixture(scope="module")
def trained():
    return trained_tokenizer(DOCUMENTS, 270)


@pytest.mark.parametrize("text", ["the cat", " sat\n\ton", "naïve \N{SNOWMAN}", ""])
def test_any_text_comes_back_whole(trained, text):
    assert trained.decode(encode(trained, [text])[0]) == text


def test_roles_come_first(trained):
    assert role_ids(trained) == (0, 1)
    assert [entry.role for entry in vocabulary(trained)[:3]] == ["begin", "end", "text"]


def test_every_token_is_listed_once_and_by_id(trained):
    entries = vocabulary(trained)
    assert [entry.token_id for entry in entries] == list(range(270))
    assert len({entry.token for entry in entries}) == 270


def test_tokens_are_shown_for_people(trained):
    shown = {entry.text: entry.token for entry in vocabulary(trained)}
    assert shown[" the"] == "Ġthe"
    assert shown["\n"] == "Ċ"
    lone = [entry.token for entry in vocabulary(trained) if entry.text is None]
    assert sorted(lone) == [f"<0x{byte:02X}>" for byte in range(0x80, 0x100)]


def test_merges_found_are_the_most_frequent(trained):
    # "a" with the space before it, "at" and "th" are the most frequent pairs of this text
    assert {" the", "at"} <= {entry.text for entry in vocabulary(trained)}


def test_training_twice_gives_the_same_bytes(trained):
    digests = [
        hashlib.sha256(tokenizer.to_str().encode()).digest()
        for tokenizer in (trained, trained_tokenizer(DOCUMENTS, 270))
    ]
    assert digests[0] == digests[1]


def test_too_little_text_is_said_in_one_line():
    with pytest.raises(ValueError, match=r"the text gives \d+ tokens, not 5000") as error:
        trained_tokenizer(DOCUMENTS, 5000)
    assert "\n" not in str(error.value)


def test_ids_stand_for_themselves(tmp_path):
    id_tokenizer(12, begin_and_end=True).save(str(tmp_path / "tokenizer.json"))
    tokenizer = saved_tokenizer(tmp_path / "tokenizer.json")
    assert encode(tokenizer, ["2 11 7"]) == [[2, 11, 7]]
    assert tokenizer.get_vocab_size() == 12
    assert role_ids(tokenizer) == (0, 1)
    assert [entry.token for entry in vocabulary(tokenizer)] == ["[BEGIN]", "[END]", *map(str, range(2, 12))]
    assert not spells_text(tokenizer)


def test_a_tokenizer_of_a_folder_gets_begin_and_end(trained, tmp_path):
    trained.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    plain = loaded_tokenizer(str(tmp_path), add_begin_and_end=False)
    assert encode(plain, ["the cat"]) == encode(trained, ["the cat"])
    assert spells_text(plain)


def test_code_that_a_tokenizer_brings_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *prompt: "y")  # were anybody asked, they would consent
    sign = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(sign)!r}, 'w')\nclass Own: pass\n")
    own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", "own.Own"]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(own))
    with pytest.raises(ValueError, match="cannot be loaded"):
        loaded_tokenizer(str(tmp_path), add_begin_and_end=False)
    assert not sign.exists()


def test_a_missing_tokenizer_is_said_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="cannot be loaded") as error:
        loaded_tokenizer(str(tmp_path / "nowhere"), add_begin_and_end=False)
    assert "\n" not in str(error.value)


def test_rows_of_the_embedding_that_are_no_token_are_shown_as_unused():
    entries = vocabulary(id_tokenizer(5, begin_and_end=True), rows=8)
    unused = ["<unused 5>", "<unused 6>", "<unused 7>"]
    assert [entry.token for entry in entries] == ["[BEGIN]", "[END]", "2", "3", "4", *unused]
    assert [entry.token_id for entry in entries] == list(range(8))
    assert entries[-1].text is None
