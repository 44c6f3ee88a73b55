"""Which tokens and which pairs of tokens a list of the strongest pairs may hold.

Token filters are masks over the vocabulary; pair filters look at two tokens at once. Both see a token's
text with its space as a space; a token that is no whole text (a lone byte) is None. `occurring` looks at how often
tokens stand in a text instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

BRACKETS = frozenset("()[]{}<>")

Texts = Sequence[str | None]
Mask = Bool[Tensor, " token"]
Counts = Int[Tensor, " token"]
# From row ids and column ids to whether each pair may be listed.
PairFilter = Callable[[Int[Tensor, " pair"], Int[Tensor, " pair"]], Bool[Tensor, " pair"]]


def only_ascii(texts: Texts) -> Mask:
    """Keep tokens of ASCII characters only; spaces and line ends are ASCII."""
    return torch.tensor([text is not None and text.isascii() for text in texts])


def only_english(texts: Texts) -> Mask:
    """Keep tokens of ASCII letters and digits, at least one, with or without spaces around."""
    return torch.tensor([text is not None and text.isascii() and text.strip().isalnum() for text in texts])


def exclude_brackets(texts: Texts) -> Mask:
    """Drop tokens with a bracket, ()[]{}<>, so [BEGIN] and <|endoftext|> too."""
    return torch.tensor([text is None or not BRACKETS & set(text) for text in texts])


def exclude_same(texts: Texts) -> PairFilter:
    """Drop pairs whose tokens are equal once case and surrounding space are ignored."""
    groups: dict[str | int, int] = {}
    keys = [_plain(text, token) for token, text in enumerate(texts)]
    group = torch.tensor([groups.setdefault(key, len(groups)) for key in keys])
    return lambda rows, columns: group[rows] != group[columns]


def exclude_fuzzy(texts: Texts, stem_length: int, edit_length: int) -> PairFilter:
    """Drop pairs that `exclude_same` drops, and pairs of forms of one word, case and space ignored.

    Forms of one word: the shorter token, of at least `stem_length` characters, begins the longer one ("walk",
    " Walking"); or, if it has at least `edit_length`, one character inserted, removed or replaced turns one into
    the other ("colour", "color"; but of shorter words it makes another, "cat", "car").
    """
    plain = [_plain(text, token) for token, text in enumerate(texts)]
    words = [word if isinstance(word, str) else "" for word in plain]
    length = torch.tensor([len(word) for word in words])
    forwards, backwards = _codes(words), _codes([word[::-1] for word in words])
    differs = exclude_same(texts)

    def allowed(rows: Int[Tensor, " pair"], columns: Int[Tensor, " pair"]) -> Bool[Tensor, " pair"]:
        longer = torch.maximum(length[rows], length[columns])
        shorter = torch.minimum(length[rows], length[columns])
        # Past the end all codes are equal, so a common start is never longer than the shorter word.
        start = torch.minimum(_common(forwards[rows], forwards[columns]), shorter)
        end = torch.minimum(_common(backwards[rows], backwards[columns]), shorter)
        begins = (start == shorter) & (shorter >= stem_length)
        # One edit leaves all but one character of the longer word in a common start and a common end.
        one_edit = (longer - shorter <= 1) & (start + end >= longer - 1) & (shorter >= edit_length)
        return differs(rows, columns) & ~begins & ~one_edit

    return allowed


TOKEN_FILTERS = {"only_ascii": only_ascii, "only_english": only_english, "exclude_brackets": exclude_brackets}


@dataclass(frozen=True)
class Filters:
    """Which filters apply, by their names; and below how many characters no token is a form of another's word."""

    names: Sequence[str]
    stem_length: int
    edit_length: int

    def mask(self, texts: Texts, occurrences: Counts | None = None) -> Mask:
        """Tokens that pass every token filter.

        Args:
            texts: of all tokens.
            occurrences: how often each stands in the text at hand; None where there is none.

        Raises:
            ValueError: none does, or `occurring` is asked for without a text.
        """
        masks = [TOKEN_FILTERS[name](texts) for name in self.names if name in TOKEN_FILTERS]
        if "occurring" in self.names:
            if occurrences is None:
                raise ValueError("filter occurring: there is no text at hand to count tokens in; leave it out")
            masks.append(occurrences > 0)
        passing = torch.stack([torch.ones(len(texts), dtype=torch.bool), *masks]).all(0)
        if not passing.any():
            raise ValueError(f"filters {'+'.join(self.names)} leave none of the {len(texts)} tokens; use fewer of them")
        return passing

    def pairs(self, texts: Texts) -> PairFilter | None:
        """A filter that all pair filters agree to; None if there are none."""
        filters: list[PairFilter] = []
        if "exclude_same" in self.names:
            filters.append(exclude_same(texts))
        if "exclude_fuzzy" in self.names:
            filters.append(exclude_fuzzy(texts, self.stem_length, self.edit_length))
        if not filters:
            return None
        return lambda rows, columns: torch.stack([allowed(rows, columns) for allowed in filters]).all(0)


def _plain(text: str | None, token: int) -> str | int:
    """The text in lower case without surrounding space; a token without text equals itself only."""
    return token if text is None else text.lower().strip()


def _codes(words: list[str]) -> Int[Tensor, "word character"]:
    """Code points, -1 past the end."""
    codes = torch.full((len(words), max(1, *map(len, words))), -1, dtype=torch.int32)
    for row, word in enumerate(words):
        codes[row, : len(word)] = torch.tensor([ord(character) for character in word], dtype=torch.int32)
    return codes


def _common(left: Int[Tensor, "pair character"], right: Int[Tensor, "pair character"]) -> Int[Tensor, " pair"]:
    """Number of equal characters before the first difference."""
    return (left == right).to(torch.uint8).cumprod(1).sum(1).long()
