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
