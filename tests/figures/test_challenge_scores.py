import numpy as np
from made_up import caption, of_base

from pipeline.figures.challenge_scores import challenge_scores as draw
from pipeline.figures.challenge_scores import shown_heads


def test_the_heads_shown_are_those_best_at_their_worst_period(challenge_scores):
    base = of_base(challenge_scores)
    assert shown_heads(base) == [(0, 1, 2), (0, 1, 1), (1, 1, 2), (1, 1, 1)]
    worse = (base["head"] == 2) & (base["challenge"] == "period") & (base["level"] == 9)
    base = base.assign(value=base["value"].where(~worse.fillna(False), 0.3))
    assert shown_heads(base) == [(0, 1, 1), (0, 1, 2), (1, 1, 1), (1, 1, 2)]


def test_every_challenge_has_attention_and_beside_it_losses(challenge_scores):
    axes = draw(of_base(challenge_scores)).axes
    left, right = axes[::2], axes[1::2]
    assert len(right) == 6
    for panel in left:
        assert len(panel.containers) == 4
        dots = [np.asarray(container.lines[0].get_ydata(), float) for container in panel.containers]
        full = 0.4 if panel is left[-1] else 0.8
        for values, expected in zip(dots, (full, full / 2, full, full / 2), strict=True):
            np.testing.assert_allclose(values, expected)
    for panel in right:
        repeated, novel = panel.lines
        assert set(repeated.get_ydata()) == {1.0}
        assert set(novel.get_ydata()) == {4.0}
    assert [text.get_text() for text in left[4].get_xticklabels()] == ["unseen", "common"]
    assert [text.get_text() for text in right[5].get_xticklabels()] == ["1", "2"]


def test_the_caption_tells_how_sure(challenge_scores):
    assert "bars: 90 % over sequences" in caption(draw(of_base(challenge_scores)))
