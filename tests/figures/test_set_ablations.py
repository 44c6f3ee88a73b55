import numpy as np
from made_up import caption, labels, of_base, titles

from pipeline.figures.set_ablations import set_ablations as draw
from pipeline.figures.style import ORANGE


def ranked(axes):
    return [line for line in axes.lines if line.get_color() == ORANGE and line.get_marker() == "."]


def test_a_line_a_seed_of_the_best_heads_beside_random_ones(set_ablations, set_curves):
    induction, copying = draw(of_base(set_ablations), of_base(set_curves)).axes
    assert titles([induction, copying]) == ["induction", "copying"]
    assert "area 0.75, random 0.10" in labels(induction.texts)
    lines = ranked(induction)
    assert len(lines) == 2
    for line in lines:
        np.testing.assert_allclose(line.get_xydata(), [[1, 0], [2, 1], [3, 1]])
    rings = [line for line in induction.lines if line.get_marker() == "o"]
    assert [line.get_xydata().tolist() for line in rings] == [[[2, 1]]] * 2
    (band,) = induction.collections
    np.testing.assert_allclose(band.get_paths()[0].vertices[:, 1], 0.1)


def test_where_no_effect_is_sure_none_is_drawn(set_ablations, set_curves):
    copying = draw(of_base(set_ablations), of_base(set_curves)).axes[1]
    assert "no sure effect" in labels(copying.texts)
    assert not ranked(copying)


def test_second_copies_are_shown_if_there_are_any(set_ablations, set_curves):
    rows, curves = of_base(set_ablations), of_base(set_curves)
    assert "on second copies of held-out text with a copied segment" in caption(draw(rows, curves))
    assert "on all tokens of" in caption(draw(rows[rows["token_class"] == "all"], curves))
