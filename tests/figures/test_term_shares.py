import numpy as np
import pytest
from made_up import caption, labels, of_base

from pipeline.figures.term_shares import term_shares as draw


def test_term_shares_have_a_dot_a_term_and_head(attention_terms, head_scores):
    figure = draw(of_base(attention_terms), of_base(head_scores))
    first, second = figure.subfigs[0].axes
    assert labels(first.get_yticklabels()) == ["0.0", "0.1", "0.2"]
    names = [[container.get_label() for container in axes.containers] for axes in (first, second)]
    assert names[0] == ["token-token", "token-position", "position-token", "position-position"]
    assert names[1] == ["stream-stream", "stream-position", "position-stream", "position-position"]
    assert all(len(container.lines[0].get_xdata()) == 3 for container in first.containers)
    (interval,) = first.containers[0].lines[2]
    assert interval.get_segments()[0][:, 0].tolist() == pytest.approx([0.1, 0.6])


def test_the_induction_heads_sources_are_shown_pair_by_pair(attention_terms, head_scores):
    grid = draw(of_base(attention_terms), of_base(head_scores)).subfigs[1].axes[0]
    assert "Head 1.2" in grid.get_title(loc="left")
    assert labels(grid.get_yticklabels()) == ["token", "position", "0.0", "0.1", "0.2"]
    assert grid.images[0].get_array().shape == (5, 5)
    assert len(grid.texts) == 25
    assert grid.images[0].get_array()[0, 0] == pytest.approx(20.0)  # per cent


def test_the_caption_tells_how_sure(attention_terms, head_scores):
    assert "Bars: 90 % intervals" in caption(draw(of_base(attention_terms), of_base(head_scores)))


def test_begin_is_no_key_where_shares_without_it_are_known(attention_terms, head_scores):
    whole = attention_terms[attention_terms["keys"] == "all"]
    without, over_all = (draw(of_base(table), of_base(head_scores)) for table in (attention_terms, whole))
    assert "[BEGIN]" in caption(without)
    assert "[BEGIN]" not in caption(over_all)
    shares = [figure.subfigs[0].axes[0].containers[0].lines[0].get_xdata(orig=False) for figure in (without, over_all)]
    np.testing.assert_allclose(shares[1] - shares[0], 0.3)
