"""Figures of roles and of what would mislead a head: head_roles, challenge_scores."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from pipeline.figures.challenge_scores import best_heads
from pipeline.figures.challenge_scores import challenge_scores as draw_shortcuts
from pipeline.figures.head_roles import COLOURS
from pipeline.figures.head_roles import head_roles as draw_head_roles
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.challenge import CHALLENGE_SCORES
from pipeline.tables.judge.head_roles import HEAD_ROLES


def of_base(frame):
    return frame[frame["experiment"] == "base"]


def test_made_up_tables_are_what_their_declarations_say(challenge_scores, head_roles, tmp_path):
    for table, frame in ((CHALLENGE_SCORES.with_run(), challenge_scores), (HEAD_ROLES, head_roles)):
        write(table, frame, Paths([tmp_path / f"{table.name}.parquet"]))


def test_every_head_has_a_cell_in_its_roles_colour(head_roles):
    figure = draw_head_roles(of_base(head_roles))
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["seed 0", "seed 1"]
    cells = {cell.get_xy(): cell.get_facecolor() for cell in first.patches}
    assert len(cells) == 6
    assert cells[0.5, -0.5] == pytest.approx(to_rgba(COLOURS["previous_token"]))
    # The less sure, the nearer to white: a quarter of the colour is left at no confidence, 5 / 8 at half.
    assert cells[-0.5, -0.5] == pytest.approx(
        [1 - 5 / 8 * (1 - part) for part in to_rgba(COLOURS["positional_shortcut"])]
    )
    assert cells[-0.5, 0.5] == pytest.approx([1 - (1 - part) / 4 for part in to_rgba(COLOURS["none"])])
    words = [text.get_text() for text in first.texts]
    assert {"previous\ntoken (1.00)", "induction (0.90)", "none (0.00)"} <= set(words)


def test_the_key_names_the_roles_that_are_there(head_roles):
    (legend,) = draw_head_roles(of_base(head_roles)).legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named == ["induction", "positional shortcut", "previous token", "none"]


def test_heads_of_a_wide_model_have_no_words(head_roles):
    wide = of_base(head_roles)
    wide = wide[wide["seed"] == 0].assign(head=lambda rows: rows["head"] * 5)
    (axes,) = draw_head_roles(wide).axes
    assert len(axes.patches) == 6
    assert not axes.texts


def test_the_best_heads_are_those_best_at_their_worst_period(challenge_scores):
    base = of_base(challenge_scores)
    assert best_heads(base) == [(0, 1, 2), (0, 1, 1), (1, 1, 2), (1, 1, 1)]
    worse = (base["head"] == 2) & (base["challenge"] == "period") & (base["level"] == 9)
    base = base.assign(value=base["value"].where(~worse.fillna(False), 0.3))
    assert best_heads(base) == [(0, 1, 1), (0, 1, 2), (1, 1, 1), (1, 1, 2)]


def test_every_challenge_has_attention_above_and_losses_below(challenge_scores):
    axes = draw_shortcuts(of_base(challenge_scores)).axes
    upper, lower = axes[:6], axes[6:]
    assert len(lower) == 6
    for panel in upper:
        assert len(panel.containers) == 4
        dots = [np.asarray(container.lines[0].get_ydata(), float) for container in panel.containers]
        full = 0.4 if panel is upper[-1] else 0.8
        for values, expected in zip(dots, (full, full / 2, full, full / 2), strict=True):
            np.testing.assert_allclose(values, expected)
    for panel in lower:
        repeated, novel = panel.lines
        assert set(repeated.get_ydata()) == {1.0}
        assert set(novel.get_ydata()) == {4.0}
    assert [text.get_text() for text in upper[4].get_xticklabels()] == ["unseen", "common"]
    assert [text.get_text() for text in lower[5].get_xticklabels()] == ["1", "2"]
