"""Figures of heads' scores: term_shares, offset_profiles, head_scores, comparison."""

import numpy as np
import pandas as pd
import pytest

from pipeline.figures.comparison import comparison, key_numbers
from pipeline.figures.head_scores import head_scores as draw_head_scores
from pipeline.figures.offset_profiles import offset_profiles as draw_offset_profiles
from pipeline.figures.term_shares import term_shares


def of_base(frame):
    return frame[frame["experiment"] == "base"]


def labels(axis_labels):
    return [text.get_text() for text in axis_labels]


def test_term_shares_have_a_dot_a_term_and_head(attention_terms, head_scores):
    figure = term_shares(of_base(attention_terms), of_base(head_scores))
    first, second = figure.subfigs[0].axes
    assert labels(first.get_yticklabels()) == ["0.0", "0.1", "0.2"]
    names = [[container.get_label() for container in axes.containers] for axes in (first, second)]
    assert names[0] == ["token-token", "token-position", "position-token", "position-position"]
    assert names[1] == ["stream-stream", "stream-position", "position-stream", "position-position"]
    assert all(len(container.lines[0].get_xdata()) == 3 for container in first.containers)
    (interval,) = first.containers[0].lines[2]
    assert interval.get_segments()[0][:, 0].tolist() == pytest.approx([0.1, 0.6])


def test_the_induction_heads_sources_are_shown_pair_by_pair(attention_terms, head_scores):
    grid = term_shares(of_base(attention_terms), of_base(head_scores)).subfigs[1].axes[0]
    assert "Head 1.2" in grid.get_title(loc="left")
    assert labels(grid.get_yticklabels()) == ["token", "position", "0.0", "0.1", "0.2"]
    assert grid.images[0].get_array().shape == (5, 5)
    assert len(grid.texts) == 25


def test_offset_profiles_show_the_leading_heads_and_all_in_small(offset_profiles, head_scores):
    upper, lower = draw_offset_profiles(of_base(offset_profiles), of_base(head_scores)).subfigs
    assert [axes.get_title(loc="left").split(",")[0] for axes in upper.axes[::2]] == ["Head 0.1", "Head 1.2"]
    # Distances 0 to 3 of 7. Four terms, their sum, and the zero line; one line of attention.
    assert [len(axes.lines) for axes in upper.axes] == [6, 1, 6, 1]
    assert [axes.get_title(loc="left") for axes in lower.axes] == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    np.testing.assert_allclose(lower.axes[0].lines[0].get_ydata(), 1 / np.arange(1, 5))


def test_head_scores_have_a_panel_a_seed_a_row_a_definition(head_scores):
    figure = draw_head_scores(of_base(head_scores))
    panels = [axes for axes in figure.axes if axes.images and axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == ["seed 0", "seed 1"]
    rows = [text.get_text() for text in panels[0].get_yticklabels()]
    assert rows[0] == "previous token: mean (0.05)"
    assert len(rows) == 4
    assert labels(panels[0].get_xticklabels()) == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"]
    written = [text.get_text() for text in panels[0].texts[:6]]
    assert written == ["0.10", "0.90", "0.10", "0.10", "0.10", "0.10"]
    # 0.9 is the row's largest distance from chance, 0.05; 0.1 is 0.05 / 0.85 of it.
    np.testing.assert_allclose(panels[0].images[0].get_array()[0, :2], [0.05 / 0.85, 1])


def test_key_numbers(head_scores, loss_by_position):
    numbers = key_numbers(head_scores, loss_by_position)
    assert len(numbers) == 4
    assert numbers.loc[("base", 0)].to_dict() == {"previous_token": 0.9, "induction": 0.9, "copying": 0.1, "gain": 2.0}


def test_comparison_has_a_dot_a_seed(head_scores, loss_by_position):
    axes = comparison(head_scores, loss_by_position).axes
    assert len(axes) == 4
    assert labels(axes[0].get_yticklabels()) == ["base", "other"]
    dots = [line for line in axes[3].lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in dots] == [[2, 2], [2, 2]]


def test_comparison_keeps_a_row_for_a_model_whose_patterns_were_not_scored(head_scores, loss_by_position):
    other = head_scores[head_scores["metric"] == "copying"].assign(experiment="both ways")
    scores = pd.concat([of_base(head_scores), other])
    assert "both ways" in labels(comparison(scores, of_base(loss_by_position)).axes[0].get_yticklabels())
    assert key_numbers(scores, of_base(loss_by_position)).loc["both ways", "induction"].isna().all()
