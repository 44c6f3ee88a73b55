import pytest
import torch

from pipeline.circuits.vocabulary.token_filters import Filters, exclude_fuzzy, exclude_same


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        (" walk", "only_ascii only_english exclude_brackets"),
        ("x86", "only_ascii only_english exclude_brackets"),
        ("café", "exclude_brackets"),
        ("--", "only_ascii exclude_brackets"),
        ("\n", "only_ascii exclude_brackets"),
        ("walk on", "only_ascii exclude_brackets"),
        ("", "only_ascii exclude_brackets"),
        ("[BEGIN]", "only_ascii"),
        ("f(", "only_ascii"),
        ("<|endoftext|>", "only_ascii"),
        ("٣", "exclude_brackets"),  # alphanumeric, but not ASCII
        (None, "exclude_brackets"),
    ],
)
def test_what_each_token_filter_keeps(text, passes):
    names = ("only_ascii", "only_english", "exclude_brackets")
    assert " ".join(name for name in names if filters(name).mask([text, "a"])[0]) == passes


def filters(*names):
    return Filters(names, stem_length=3, edit_length=4)


def test_filters_compose_by_leaving_what_all_of_them_leave():
    texts = ["walk", "--", "[x]", "café", "ok"]
    together = filters("only_ascii", "exclude_brackets", "exclude_same").mask(texts)
    assert together.tolist() == [True, True, False, False, True]
    assert filters().mask(texts).all()
    assert filters("only_ascii").pairs(texts) is None
    with pytest.raises(ValueError, match=r"only_english\+exclude_brackets leave none of the 2 tokens"):
        filters("only_english", "exclude_brackets").mask(["[BEGIN]", "--"])


def test_only_what_stands_in_the_text_occurs():
    occurring = filters("occurring", "only_ascii")
    assert occurring.mask(["a", "b", "é"], torch.tensor([2, 0, 1])).tolist() == [True, False, False]
    with pytest.raises(ValueError, match="no text at hand"):
        occurring.mask(["a", "b", "é"])


def allowed(make, one, other):
    keep = make([one, other])
    there, back = keep(torch.tensor([0]), torch.tensor([1])), keep(torch.tensor([1]), torch.tensor([0]))
    assert torch.equal(there, back)
    assert not keep(torch.tensor([0, 1]), torch.tensor([0, 1])).any()
    return bool(there)


@pytest.mark.parametrize(
    ("one", "other", "same", "fuzzy"),
    [
        (" Walk", "walk", True, True),
        ("walk", " walking", False, True),
        ("dog", "dogs", False, True),
        ("colour", "color", False, True),
        ("grey", "gray", False, True),
        ("form", "from", False, False),  # two replacements
        ("walked", "talking", False, False),
        ("cat", "car", False, False),
        ("a", "apple", False, False),
        ("aaaa", "aaaaaa", False, True),
        ("abab", "ab", False, False),
        ("xabcd", "abcd", False, True),
        ("abcd", "bcda", False, False),
        (" ", "\n", True, True),
        (" ", "walk", False, False),
        (None, None, False, False),
        (None, "walk", False, False),
    ],
)
def test_what_counts_as_same_and_as_forms_of_one_word(one, other, same, fuzzy):
    assert allowed(exclude_same, one, other) is not same
    assert allowed(filters("exclude_fuzzy").pairs, one, other) is not fuzzy


def edits(one, other):
    """Levenshtein distance, by its recursion."""
    previous = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            row.append(min(previous[j] + 1, row[-1] + 1, previous[j - 1] + (a != b)))
        previous = row
    return previous[-1]


def test_one_edit_is_found_exactly():
    generator = torch.Generator().manual_seed(0)
    words = ["".join("ab"[bit] for bit in torch.randint(2, (4 + n % 4,), generator=generator)) for n in range(60)]
    rows, columns = (grid.flatten() for grid in torch.meshgrid(torch.arange(60), torch.arange(60), indexing="ij"))
    expected = []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        one, other = words[row], words[column]
        expected.append(edits(one, other) > 1 and not one.startswith(other) and not other.startswith(one))
    assert exclude_fuzzy(words, 3, 4)(rows, columns).tolist() == expected
