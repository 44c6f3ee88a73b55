import numpy as np
import pytest
from made_up import caption

from pipeline.figures.four_terms import four_terms
from pipeline.figures.heads import first_seed, of_head


def test_the_best_heads_and_their_terms(term_maps, attention_terms, head_scores):
    figure = four_terms(term_maps, attention_terms, head_scores, 8)
    assert [part.get_suptitle() for part in figure.subfigs] == [
        "Head 0.1: best previous-token head (0.90)",
        "Head 1.2: best induction head (0.90)",
    ]
    titles = [[axes.get_title(loc="left") for axes in part.axes if axes.images] for part in figure.subfigs]
    assert titles[0][:2] == ["token-token", "token-position"]
    assert titles[1] == [
        *("stream-stream", "stream-position", "sum of all terms"),
        *("position-stream", "position-position", "pattern (softmax)"),
    ]


@pytest.mark.parametrize("begins", [False, True])
def test_only_keys_that_may_be_looked_at_are_drawn_and_rows_are_centred(
    term_maps, attention_terms, head_scores, begins
):
    if not begins:
        attention_terms = attention_terms[attention_terms["keys"] == "all"]
    figure = four_terms(term_maps, attention_terms, head_scores, 5)
    assert ("where heads rest" in caption(figure)) == begins
    future = np.triu(np.ones((5, 5), bool), 1)
    unseen = future | (begins * np.add.outer(np.arange(5) == 0, np.arange(5) == 0))
    for part in figure.subfigs:
        for axes in part.axes:
            for image in axes.images:
                matrix = np.ma.filled(image.get_array(), np.nan)
                of_pattern = "pattern" in axes.get_title(loc="left")
                assert (np.isnan(matrix) == (future if of_pattern else unseen)).all()
                np.testing.assert_allclose(np.nansum(matrix, axis=1), of_pattern, atol=1e-12)


def test_terms_of_a_head_share_their_colours(term_maps, attention_terms, head_scores):
    part = four_terms(term_maps, attention_terms, head_scores, 8).subfigs[0]
    scores = [axes.images[0] for axes in part.axes if axes.images and "pattern" not in axes.get_title(loc="left")]
    assert len({id(image.norm) for image in scores}) == 1
    assert scores[0].norm.vcenter == 0


def test_tokens_are_told_by_their_numbers(term_maps, attention_terms, head_scores):
    figure = four_terms(term_maps, attention_terms, head_scores, 8)
    labels = [text.get_text() for text in figure.subfigs[0].axes[0].get_yticklabels()]
    assert labels == ["0", "2", "4", "6"]
    tokens = r"0 [BEGIN], 1 We, 2 Ġdog, 3 \$\alpha_, 4 Ċ, 5 We, 6 Ġdog, 7 <0x80>"
    assert f"Tokens by number: {tokens}." in caption(figure)


def test_a_model_without_positions_has_one_term(term_maps, attention_terms, head_scores):
    without = term_maps[(term_maps["query_source"] != "position") & (term_maps["key_source"] != "position")]
    part = four_terms(without, attention_terms, head_scores, 8).subfigs[1]
    titles = [axes.get_title(loc="left") for axes in part.axes if axes.images]
    assert titles == ["stream-stream", "sum of all terms", "pattern (softmax)"]


def test_one_layer(term_maps, attention_terms, head_scores):
    figure = four_terms(term_maps[term_maps["layer"] == 0], attention_terms, head_scores[head_scores["layer"] == 0], 8)
    assert figure.subfigs[0].get_suptitle() == "Head 0.1: best previous-token head (0.90)"
    assert not of_head(first_seed(term_maps), (0, 1)).empty
