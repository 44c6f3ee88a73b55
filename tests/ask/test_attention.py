import html.parser

import numpy as np
import pytest
from rich.text import Text

from pipeline.ask import attention

DEMO = " We dog eating ice cream"


@pytest.fixture(scope="module")
def terms(model):
    return model.head("1.0").terms(DEMO)


def test_a_querys_terms_sum_to_its_scores(terms):
    own = attention.of_query(terms, 4)
    assert own["attention"].sum() == pytest.approx(1)
    names = attention.names_of(terms)
    assert names[-1] == "total"
    np.testing.assert_allclose(own[names[:-1]].sum(axis=1), own["total"], atol=1e-9)
    np.testing.assert_allclose(own[names].mean(), 0, atol=1e-12)
    logits = own["total"].to_numpy()
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), own["attention"], atol=1e-6)


def test_the_strongest_keys_come_first(terms):
    strongest = attention.strongest_keys(terms, 2)
    whole = attention.looks(terms)
    for query, rows in strongest.groupby("query"):
        assert len(rows) == min(2, query + 1)
        assert rows["pattern"].iloc[0] == whole[whole["query"] == query]["pattern"].max()


def test_colours_tell_sign_and_size():
    text = attention.coloured(["a", "b", "c"], np.array([1.0, -0.5, 0.0]), 1.0, scores=True)
    assert isinstance(text, Text)
    styles = [str(span.style) for span in text.spans]
    assert styles == ["#ffffff on rgb(213,94,0)", "#000000 on rgb(128,184,216)"]
    (span,) = attention.coloured(["a"], np.array([0.5]), 0.5).spans
    assert str(span.style) == "#ffffff on rgb(0,114,178)"
    assert text.plain == "a b c "


class _Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_holds_every_number_and_runs_nothing(terms):
    hostile = terms.replace({"key_token": {"ing": "<script>x\u202e"}, "query_token": {"ing": "<script>x\u202e"}})
    reader = _Reader()
    reader.feed(attention.page("a & b", hostile))
    assert {tag for tag, _ in reader.tags} <= {
        *("html", "meta", "title", "style", "h1", "p", "details", "summary", "b", "i", "span")
    }
    policy = next(attrs["content"] for tag, attrs in reader.tags if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'")
    if (terms["key_token"] == "ing").any():
        assert "<script>x<U+202E>" in reader.text
    shades = [attrs["title"] for tag, attrs in reader.tags if tag == "span"]
    n = terms["query"].max() + 1
    assert len(shades) == n * (n + 1) // 2 * (1 + len(attention.names_of(terms)))


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_a_picture_is_drawn_of_every_term(terms, tmp_path, kind):
    file = tmp_path / f"maps.{kind}"
    attention.picture("head $1.0$ <b>", terms, file)
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG" if kind == "png" else b"<?xml")
    with pytest.raises(ValueError, match=r"ends in .svg or .png"):
        attention.picture("x", terms, tmp_path / "maps.gif")
