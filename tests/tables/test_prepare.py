import hashlib
from dataclasses import asdict

import pandas as pd
from made_up_rows import options

from pipeline.models.tokenizer import id_tokenizer, vocabulary
from pipeline.tables.prepare import CORPUS, TOKENS, VOCABULARY


def test_a_vocabulary_is_every_token_once_by_its_number(kept, refusal):
    entries = [asdict(entry) for entry in vocabulary(id_tokenizer(5, True))]
    rows = kept(VOCABULARY, *entries[::-1])
    assert rows["token_id"].tolist() == [0, 1, 2, 3, 4]
    assert rows["role"].tolist() == ["begin", "end", "text", "text", "text"]
    assert options(VOCABULARY, "role") == set(rows["role"])
    assert "two rows share the key" in refusal(VOCABULARY, *entries, entries[0])


def test_a_document_is_for_one_purpose_and_may_be_empty(kept, refusal):
    documents = [
        {"document": 1, "split": "heldout", "token_ids": []},
        {"document": 0, "split": "train", "token_ids": [7]},
    ]
    assert [list(ids) for ids in kept(TOKENS, *documents)["token_ids"]] == [[7], []]
    assert "two rows share the key" in refusal(TOKENS, documents[1], documents[1] | {"split": "heldout"})
    assert refusal(TOKENS, documents[1] | {"token_ids": [3, -1]}) == "column token_ids: -1 is below 0"
    assert "'test' is not one of train, heldout" in refusal(TOKENS, documents[0] | {"split": "test"})


def test_a_source_of_no_version_is_known_by_its_hash(kept, refusal):
    text = ["ab", "c"]
    hashed = hashlib.sha256("\0".join(text).encode()).hexdigest()
    source = {"source": "own.txt", "documents": 2, "characters": 3, "sha256": hashed}
    (row,) = kept(
        CORPUS,
        source,
    ).to_dict("records")
    assert pd.isna(row["version"])
    assert (row["documents"], row["characters"], len(row["sha256"])) == (2, 3, 64)
    assert refusal(CORPUS, source | {"documents": -1}) == "column documents: -1 is below 0"
