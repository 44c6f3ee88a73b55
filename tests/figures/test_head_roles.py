import pytest
from made_up import of_base
from matplotlib.colors import to_rgba

from pipeline.figures.head_roles import COLOURS
from pipeline.figures.head_roles import head_roles as draw
from pipeline.tables.judge.head_roles import HEAD_ROLES


def test_every_head_has_a_cell_in_its_roles_colour(head_roles):
    figure = draw(of_base(head_roles))
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
    assert {"previous\ntoken (1.00)", "induction? (0.90)", "none (0.00)"} <= set(words)
    assert {cell.get_xy() for cell in first.patches if cell.get_hatch()} == {(1.5, 0.5)}


def test_the_key_names_the_roles_that_are_there(head_roles):
    (legend,) = draw(of_base(head_roles)).legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named == ["induction", "positional shortcut", "previous token", "none", "not all measured"]
    (legend,) = draw(of_base(head_roles).assign(unmeasured="")).legends
    assert len(legend.get_texts()) == 4


def test_heads_of_a_wide_model_have_no_words(head_roles):
    wide = of_base(head_roles)
    wide = wide[wide["seed"] == 0].assign(head=lambda rows: rows["head"] * 5)
    (axes,) = draw(wide).axes
    assert len(axes.patches) == 6
    assert not axes.texts


def test_every_role_there_is_has_a_colour():
    (role,) = (column for column in HEAD_ROLES.columns if column.name == "role")
    assert set(COLOURS) == set(role.options)
