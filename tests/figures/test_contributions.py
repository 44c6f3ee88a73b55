import numpy as np
from made_up import of_base

from pipeline.figures.contributions import contributions as draw


def panels_of(figure):
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def test_each_part_stands_at_its_layer_the_last_one_above(contributions):
    panels = panels_of(draw(of_base(contributions)))
    assert list(panels) == ["novel tokens", "first copies", "second copies"]
    expected = np.zeros((2, 4))
    expected[0, 3] = -1
    np.testing.assert_allclose(panels["novel tokens"].images[0].get_array(), expected)
    expected[0, 2] = 3
    np.testing.assert_allclose(panels["second copies"].images[0].get_array(), expected)
    axes = panels["second copies"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2", "ff"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1", "0"]


def test_the_caption_says_what_embeddings_add(contributions):
    texts = " ".join(text.get_text() for text in draw(of_base(contributions)).texts)
    assert "The rest of the logit is token 0.5." in " ".join(texts.split())


def test_a_model_without_feed_forward_parts_has_no_column_for_them(contributions):
    base = of_base(contributions)
    axes = panels_of(draw(base[base["kind"] == "head"]))["second copies"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]


def test_a_model_whose_logits_do_not_add_up_says_so(contributions):
    figure = draw(of_base(contributions).iloc[:0])
    assert any("no sum over parts" in text.get_text() for text in figure.texts)
