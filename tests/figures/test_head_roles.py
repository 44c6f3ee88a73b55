import pytest
from made_up import of_base
from matplotlib.colors import to_rgba

from pipeline.figures.head_roles import COLOURS, code
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
    assert {"PT\n1.00", "IN?\n0.90", "PS\n0.50", "\n0.00"} == set(words)
    assert {cell.get_xy() for cell in first.patches if cell.get_hatch()} == {(1.5, 0.5)}


def test_the_key_names_the_roles_that_are_there(head_roles):
    (legend,) = draw(of_base(head_roles)).subfigs[1].legends
    named = [text.get_text() for text in legend.get_texts()]
    assert named == ["IN induction", "PS positional shortcut", "PT previous token", " none", "? not all measured"]
    (legend,) = draw(of_base(head_roles).assign(unmeasured="")).subfigs[1].legends
    assert len(legend.get_texts()) == 4


@pytest.mark.parametrize(("apart", "word"), [(1, "PT\n1.00"), (5, "PT"), (10, None)])
def test_the_wider_a_model_the_less_is_said_in_a_cell(head_roles, apart, word):
    wide = of_base(head_roles)
    wide = wide[wide["seed"] == 0].assign(head=lambda rows: rows["head"] * apart)
    (axes,) = draw(wide).axes
    assert len(axes.patches) == 6
    words = {text.get_text() for text in axes.texts}
    assert word in words if word else not words


def test_every_role_there_is_has_a_colour_and_a_code_of_its_own():
    (role,) = (column for column in HEAD_ROLES.columns if column.name == "role")
    assert set(COLOURS) == set(role.options)
    assert len({code(role) for role in COLOURS}) == len(COLOURS)
