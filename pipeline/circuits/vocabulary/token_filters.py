"""Which tokens and which pairs of tokens a list of the strongest pairs may hold.

Token filters are masks over the vocabulary; pair filters look at two tokens at once. Both see a token's
text with its space as a space; a token that is no whole text (a lone byte) is None.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

PREFIX_LENGTH = 3  # characters a token must have to count as the stem of a longer one
EDIT_LENGTH = 4  # characters below which one edit makes another word ("cat", "car")
BRACKETS = frozenset("()[]{}<>")

Texts = Sequence[str | None]
PairFilter = Callable[[Tensor, Tensor], Tensor]


def only_ascii(texts: Texts) -> Tensor:
    """Keep tokens of ASCII characters only, [d_vocab] bool; spaces and line ends are ASCII."""
    return torch.tensor([text is not None and text.isascii() for text in texts])


def only_english(texts: Texts) -> Tensor:
    """Keep tokens of ASCII letters and digits, at least one, with or without spaces around, [d_vocab] bool."""
    return torch.tensor([text is not None and text.isascii() and text.strip().isalnum() for text in texts])


def exclude_brackets(texts: Texts) -> Tensor:
    """Drop tokens with a bracket, ()[]{}<>, so [BEGIN] and <|endoftext|> too, [d_vocab] bool."""
    return torch.tensor([text is None or not BRACKETS & set(text) for text in texts])


def exclude_same(texts: Texts) -> PairFilter:
    """Drop pairs whose tokens are equal once case and surrounding space are ignored."""
    groups: dict[str | int, int] = {}
    keys = [_plain(text, token) for token, text in enumerate(texts)]
    group = torch.tensor([groups.setdefault(key, len(groups)) for key in keys])
    return lambda rows, columns: group[rows] != group[columns]


def exclude_fuzzy(texts: Texts) -> PairFilter:
    """Drop pairs that `exclude_same` drops, and pairs of forms of one word, case and space ignored.

    Forms of one word: the shorter token, of at least 3 characters, begins the longer one ("walk",
    " Walking"); or, if it has at least 4, one character inserted, removed or replaced turns one into the
    other ("colour", "color").
    """
    plain = [_plain(text, token) for token, text in enumerate(texts)]
    words = [word if isinstance(word, str) else "" for word in plain]
    length = torch.tensor([len(word) for word in words])
    forwards, backwards = _codes(words), _codes([word[::-1] for word in words])
    differs = exclude_same(texts)

    def allowed(rows: Tensor, columns: Tensor) -> Tensor:
        longer = torch.maximum(length[rows], length[columns])
        shorter = torch.minimum(length[rows], length[columns])
        # Past the end all codes are equal, so a common start is never longer than the shorter word.
        start = torch.minimum(_common(forwards[rows], forwards[columns]), shorter)
        end = torch.minimum(_common(backwards[rows], backwards[columns]), shorter)
        begins = (start == shorter) & (shorter >= PREFIX_LENGTH)
        # One edit leaves all but one character of the longer word in a common start and a common end.
        one_edit = (longer - shorter <= 1) & (start + end >= longer - 1) & (shorter >= EDIT_LENGTH)
        return differs(rows, columns) & ~begins & ~one_edit

    return allowed


TOKEN_FILTERS = {"only_ascii": only_ascii, "only_english": only_english, "exclude_brackets": exclude_brackets}
PAIR_FILTERS = {"exclude_same": exclude_same, "exclude_fuzzy": exclude_fuzzy}


def token_mask(names: Sequence[str], texts: Texts) -> Tensor:
    """Tokens that pass every token filter among these names, [d_vocab] bool.

    Raises:
        ValueError: none does.
    """
    masks = [TOKEN_FILTERS[name](texts) for name in names if name in TOKEN_FILTERS]
    passing = torch.stack([torch.ones(len(texts), dtype=torch.bool), *masks]).all(0)
    if not passing.any():
        raise ValueError(f"filters {'+'.join(names)} leave none of the {len(texts)} tokens; use fewer of them")
    return passing


def pair_filter(names: Sequence[str], texts: Texts) -> PairFilter | None:
    """A filter that all pair filters among these names agree to; None if there are none."""
    filters = [PAIR_FILTERS[name](texts) for name in names if name in PAIR_FILTERS]
    if not filters:
        return None
    return lambda rows, columns: torch.stack([allowed(rows, columns) for allowed in filters]).all(0)


def _plain(text: str | None, token: int) -> str | int:
    """The text in lower case without surrounding space; a token without text equals itself only."""
    return token if text is None else text.lower().strip()


def _codes(words: list[str]) -> Tensor:
    """Code points [word, character], -1 past the end."""
    codes = torch.full((len(words), max(1, *map(len, words))), -1, dtype=torch.int32)
    for row, word in enumerate(words):
        codes[row, : len(word)] = torch.tensor([ord(character) for character in word], dtype=torch.int32)
    return codes


def _common(one: Tensor, other: Tensor) -> Tensor:
    """Number of equal characters before the first difference."""
    return (one == other).to(torch.uint8).cumprod(1).sum(1)
