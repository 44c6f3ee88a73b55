import pandas as pd
import pytest

from pipeline.figures.vocab_pairs import LISTED, vocab_pairs


@pytest.fixture
def pairs(request):
    table = request.getfixturevalue("vocab_pairs")
    return table[table["experiment"] == "base"]


@pytest.fixture
def scores(head_scores):
    return head_scores[head_scores["experiment"] == "base"]


def widths(axes):
    """Of the bars, from the top."""
    return [bar.get_width() for bar in sorted(axes.patches, key=lambda bar: bar.get_y())]


def test_a_list_a_circuit_from_the_largest_to_the_smallest(pairs, scores):
    figure = vocab_pairs(pairs, scores)
    titles = [axes.get_title(loc="left").splitlines() for axes in figure.axes]
    assert [title[1] for title in titles] == ["OV, logits", "QK, scores"] * 2
    assert [title[0].split(",")[0] for title in titles] == ["Head 0.1"] * 2 + ["Head 1.2"] * 2
    largest = [20.0 - rank for rank in range(LISTED)]
    for axes in figure.axes:
        assert widths(axes) == [*largest, *(-value for value in reversed(largest))]


def test_tokens_are_shown_so_that_each_can_be_read(pairs, scores):
    texts = [text.get_text() for text in vocab_pairs(pairs, scores).axes[0].get_yticklabels()]
    assert texts[:5] == [r"Ġdog → \$\alpha_", r"\$\alpha_ → Ċ", "Ċ → <0x80>", r"<0x80> → \u200b", r"\u200b → Ġdog"]


def test_the_figure_says_which_filters_its_lists_passed(pairs, scores):
    for filters, said in (("occurring", "tokens that pass occurring, exactly"), ("", "tokens, exactly")):
        texts = vocab_pairs(pairs.assign(filters=filters), scores).texts
        assert any(f"over all pairs of {said}" in text.get_text().replace("\n", " ") for text in texts)


def test_without_pairs_or_roles_a_sentence_says_so(pairs, scores):
    assert vocab_pairs(pairs.iloc[:0], scores).axes == []
    assert vocab_pairs(pairs, scores.iloc[:0]).axes == []


def test_of_two_embeddings_the_one_that_is_met_is_drawn(pairs, scores):
    both = pd.concat([pairs, pairs.assign(emb_mode="after_mlp0", value=2 * pairs["value"])])
    figure = vocab_pairs(both, scores)
    assert widths(figure.axes[0])[:LISTED] == [2 * (20.0 - rank) for rank in range(LISTED)]
    assert any("behind the first" in text.get_text().replace("\n", " ") for text in figure.texts)
