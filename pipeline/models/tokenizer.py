"""Tokenizers: byte-level BPE trained on the corpus, one made elsewhere, or ids that stand for themselves."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from pipeline.models.one_line import first_line

BEGIN = "[BEGIN]"
END = "[END]"


@dataclass(frozen=True)
class VocabularyEntry:
    """One token: its id, how it is shown, the text it stands for (None if not whole UTF-8), its role."""

    token_id: int
    token: str
    text: str | None
    role: str  # "begin", "end" or "text"


def trained_tokenizer(documents: Iterable[str], d_vocab: int) -> Tokenizer:
    """Byte-level BPE of `d_vocab` tokens; [BEGIN] is token 0, [END] token 1.

    Raises:
        ValueError: the vocabulary cannot hold the 256 bytes, or the text is too small to fill it.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=[BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer)
    if tokenizer.get_vocab_size() != d_vocab:
        raise ValueError(
            f"trained_tokenizer: the text gives {tokenizer.get_vocab_size()} tokens, not {d_vocab}; "
            "set tokenizer.d_vocab to that or bring more text (256 bytes and 2 special tokens are the least)"
        )
    return tokenizer


def loaded_tokenizer(name: str, add_begin_and_end: bool) -> Tokenizer:
    """Load a fast tokenizer of the transformers library, never running code that it brings.

    Args:
        name: name in the Hugging Face hub's cache, or a folder; nothing is fetched.
        add_begin_and_end: whether [BEGIN] and [END] join its vocabulary.

    Raises:
        ValueError: it cannot be loaded, or has no fast form.
    """
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever the library stumbles over in files of others
        raise ValueError(
            f"tokenizer {name!r} cannot be loaded ({first_line(error)}); give a folder or a name in the hub's cache, "
            "or do without: tokenizer=none tokenizer.d_vocab=null data=repeated_tokens"
        ) from error
    if not loaded.is_fast:
        raise ValueError(f"tokenizer {name!r} has no fast form (tokenizer.json); choose another")
    tokenizer = loaded.backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if add_begin_and_end:
        tokenizer.add_special_tokens([AddedToken(BEGIN, special=True), AddedToken(END, special=True)])
    return tokenizer


def id_tokenizer(d_vocab: int, begin_and_end: bool) -> Tokenizer:
    """No text: ids that stand for themselves, so that nothing downstream differs; spaces separate tokens.

    Args:
        d_vocab: number of tokens.
        begin_and_end: whether 0 is [BEGIN] and 1 is [END]; else 0 is "0" and 1 is "1".
    """
    vocabulary = {str(i): i for i in range(2 if begin_and_end else 0, d_vocab)}
    tokenizer = Tokenizer(models.WordLevel(({BEGIN: 0, END: 1} if begin_and_end else {}) | vocabulary))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if begin_and_end:
        tokenizer.add_special_tokens([BEGIN, END])
    return tokenizer


def saved_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in a tokenizer.json."""
    return Tokenizer.from_file(str(path))


def encode(tokenizer: Tokenizer, documents: list[str]) -> list[list[int]]:
    """Token ids of each document, without special tokens."""
    return [encoding.ids for encoding in tokenizer.encode_batch(documents, add_special_tokens=False)]


def spells_text(tokenizer: Tokenizer) -> bool:
    """Whether its tokens are pieces of text, and not ids that stand for themselves."""
    return not isinstance(tokenizer.model, models.WordLevel)


def role_ids(tokenizer: Tokenizer) -> tuple[int | None, int | None]:
    """Ids of the tokens that begin and end a text; None where the vocabulary has none.

    [BEGIN] and [END] come first, then the names that published tokenizers give theirs.
    """
    begins = (BEGIN, "<|begin_of_text|>", "<s>", "<bos>", "<|endoftext|>")
    ends = (END, "<|end_of_text|>", "</s>", "<eos>", "<|endoftext|>")
    begin, end = ([id for id in map(tokenizer.token_to_id, names) if id is not None] for names in (begins, ends))
    return (begin or [None])[0], (end or [None])[0]


def vocabulary(tokenizer: Tokenizer, rows: int = 0) -> list[VocabularyEntry]:
    """Every token, by id; a token with both roles (GPT-2's <|endoftext|>) is said to begin.

    Args:
        tokenizer: which one.
        rows: of the embedding. Many are padded: ids that are no token of the tokenizer are <unused id>.
    """
    begin, end = role_ids(tokenizer)
    byte_level = isinstance(tokenizer.decoder, decoders.ByteLevel)
    entries = {}
    for token, token_id in tokenizer.get_vocab(with_added_tokens=True).items():
        text = tokenizer.decode([token_id], skip_special_tokens=False)
        text = None if "\N{REPLACEMENT CHARACTER}" in text else text
        shown = _shown(token, text) if byte_level else token
        role = "begin" if token_id == begin else "end" if token_id == end else "text"
        entries[token_id] = VocabularyEntry(token_id, shown, text, role)
    for token_id in set(range(max([rows, *entries]))) - set(entries):
        entries[token_id] = VocabularyEntry(token_id, f"<unused {token_id}>", None, "text")
    return [entries[token_id] for token_id in sorted(entries)]


def _shown(token: str, text: str | None) -> str:
    """A byte-level token for people: as BPE writes it, but letters beyond ASCII whole and lone bytes as <0xNN>."""
    if text is None:
        byte = _byte_of_character()
        return "".join(f"<0x{byte[character]:02X}>" for character in token)
    return token if text.isascii() else text.replace(" ", "Ġ").replace("\n", "Ċ")


@functools.cache
def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE's alphabet: printable bytes stand for themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    moved = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(moved)}
