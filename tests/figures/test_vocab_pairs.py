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


def test_four_lists_a_head_the_strongest_on_top(pairs, scores):
    figure = vocab_pairs(pairs, scores)
    titles = [axes.get_title(loc="left").splitlines()[-1] for axes in figure.axes]
    ends = ["OV, largest", "OV, smallest", "QK, largest", "QK, smallest"]
    assert titles == [f"{head} {end}" for head in ("0.1", "1.2") for end in ends]
    for axes, sign in zip(figure.axes, (1, -1) * 4, strict=True):
        assert [bar.get_width() for bar in axes.patches] == [sign * (20.0 - rank) for rank in range(LISTED)]


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
    assert [bar.get_width() for bar in figure.axes[0].patches] == [2 * (20.0 - rank) for rank in range(LISTED)]
    assert any("behind the first" in text.get_text().replace("\n", " ") for text in figure.texts)
