import pytest
from training_stages import RANDOM, prepared, prepared_text

from pipeline.plumbing.artefacts import read
from pipeline.tables.prepare import CORPUS, TOKENS, VOCABULARY


@pytest.fixture(scope="module")
def random_tokens(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("random_tokens"))


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return prepared_text(tmp_path_factory.mktemp("text"))


def test_prepare_says_where_the_text_came_from(text):
    corpus, tokens = read(CORPUS, text), read(TOKENS, text)
    assert corpus["documents"].sum() == len(tokens)
    assert set(tokens["split"]) == {"train", "heldout"}
    assert read(VOCABULARY, text)["role"].tolist()[:3] == ["begin", "end", "text"]


def test_text_from_another_source_is_for_nothing_but_measuring(text, tmp_path):
    with_other = prepared_text(tmp_path, other=["einops"])
    tokens, alone = read(TOKENS, with_other), read(TOKENS, text)
    assert tokens["split"].value_counts()["other"] == 1
    assert tokens["split"].iloc[-1] == "other"
    own = tokens[tokens["split"] != "other"]
    assert own["split"].tolist() == alone["split"].tolist()
    assert list(map(list, own["token_ids"])) == list(map(list, alone["token_ids"]))
    assert with_other.file("tokenizer.json").read_bytes() == text.file("tokenizer.json").read_bytes()
    shown = read(VOCABULARY, with_other).set_index("token_id")["text"]
    assert "".join(shown[tokens["token_ids"].iloc[-1]]).startswith("MIT License\n\nCopyright (c) 2018 Alex Rogozhnikov")
    assert read(CORPUS, with_other).set_index("source").loc["einops: licences", "documents"] == 1


def test_ids_have_no_other_source(tmp_path):
    assert set(read(TOKENS, prepared(tmp_path, other=["einops"]))["split"]) == {"train", "heldout"}


def test_prepare_without_text_makes_ids(random_tokens):
    tokens = read(TOKENS, random_tokens)
    assert {len(ids) for ids in tokens["token_ids"]} == {50}
    assert min(min(ids) for ids in tokens["token_ids"]) == 2  # 0 and 1 are [BEGIN] and [END]


def test_prepare_needs_text_on_both_sides(tmp_path):
    with pytest.raises(ValueError, match="0 of 2 documents are held out"):
        prepared(tmp_path, RANDOM | {"documents": 2, "heldout_fraction": 1e-9})


def test_prepare_names_every_row_of_a_padded_embedding(save, tmp_path):
    folder, _ = save("llama", shape={"vocab_size": 40})
    vocabulary = read(VOCABULARY, prepared(tmp_path, model_path=str(folder)))
    assert len(vocabulary) == 40
    assert vocabulary["token"].iloc[-1] == "<unused 39>"
