"""Gather the text, cut it into tokens, and set some of it aside."""

import os
from dataclasses import asdict

import numpy as np
import pandas as pd
from tokenizers import Tokenizer
from torch import Generator

from pipeline.models import corpus
from pipeline.models.corpus import Source
from pipeline.models.notebook_checkpoint import vocabulary_size
from pipeline.models.tokenizer import (
    encode,
    id_tokenizer,
    loaded_tokenizer,
    spells_text,
    trained_tokenizer,
    vocabulary,
)
from pipeline.plumbing.artefacts import Paths, recorded, write
from pipeline.plumbing.stage import main
from pipeline.settings.prepare import NoTokenizer, PrepareSettings
from pipeline.tables.prepare import CORPUS, TOKENS, VOCABULARY


def run(settings: PrepareSettings, inputs: Paths, outputs: Paths) -> None:
    """Gather, split, tokenize, write."""
    os.environ["RAYON_NUM_THREADS"] = str(settings.threads)  # the tokenizers' own threads
    sources = gathered(settings)
    documents = texts_of(sources)
    heldout = np.array([corpus.is_heldout(document, settings.data.heldout_fraction) for document in documents])
    if heldout.all() or not heldout.any():
        raise ValueError(
            f"{heldout.sum()} of {len(documents)} documents are held out; "
            "bring more text or change data.heldout_fraction"
        )
    kept = [document for document, aside in zip(documents, heldout, strict=True) if not aside]
    tokenizer = tokenizer_for(settings, kept)

    with recorded(outputs, "tokenizer.json") as temporary:
        tokenizer.save(str(temporary))
    # Ids have no other source.
    others = corpus.other_text(settings.other, documents) if spells_text(tokenizer) else []
    write(CORPUS, pd.DataFrame([described(source) for source in (*sources, *others)]), outputs)
    split = [*np.where(heldout, "heldout", "train"), *("other" for _ in texts_of(others))]
    token_ids = [np.array(ids, np.int32) for ids in encode(tokenizer, documents + texts_of(others))]
    tokens = pd.DataFrame({"document": range(len(split)), "split": split, "token_ids": token_ids})
    write(TOKENS, tokens, outputs)
    rows = 0 if settings.model_path is None else vocabulary_size(settings.model_path)
    write(VOCABULARY, pd.DataFrame([asdict(entry) for entry in vocabulary(tokenizer, rows)]), outputs)


def texts_of(sources: list[Source]) -> list[str]:
    """Return the documents of all sources in a row."""
    return [document for source in sources for document in source.documents]


def gathered(settings: PrepareSettings) -> list[Source]:
    """Return the documents, by where they come from."""
    data = settings.data
    match data.kind:
        case "python_docs":
            return corpus.python_docs(data.packages, data.min_characters)
        case "text_files":
            return corpus.text_files(data.paths, data.document_characters)
        case "hub_text":
            return corpus.hub_text(data.name, data.configuration, data.split, data.column, data.documents)
        case "repeated_tokens":
            d_vocab, begin_and_end = ids_of(settings)
            ids = range(2 if begin_and_end else 0, d_vocab)
            return [corpus.random_tokens(ids, data.documents, data.document_tokens, Generator().manual_seed(data.seed))]


def tokenizer_for(settings: PrepareSettings, documents: list[str]) -> Tokenizer:
    """Return the tokenizer: trained on `documents`, loaded, or made for ids."""
    tokenizer = settings.tokenizer
    match tokenizer.kind:
        case "trained":
            return trained_tokenizer(documents, tokenizer.d_vocab)
        case "hub":
            return loaded_tokenizer(tokenizer.name, tokenizer.add_begin_and_end)
        case "none":
            return id_tokenizer(*ids_of(settings))


def ids_of(settings: PrepareSettings) -> tuple[int, bool]:
    """Return how many ids there are without a tokenizer, and whether the first two begin and end a text."""
    if isinstance(settings.tokenizer, NoTokenizer) and settings.tokenizer.d_vocab is not None:
        return settings.tokenizer.d_vocab, True
    assert settings.model_path is not None  # PrepareSettings sees to it
    return vocabulary_size(settings.model_path), False


def described(source: Source) -> dict:
    """Return a source's row of the CORPUS table."""
    return {
        "source": source.name,
        "version": source.version,
        "documents": len(source.documents),
        "characters": sum(map(len, source.documents)),
        "sha256": source.sha256,
    }


if __name__ == "__main__":
    main(PrepareSettings, run)
