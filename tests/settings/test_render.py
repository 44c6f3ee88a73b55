import pytest

from pipeline.settings.figures import OF_A_STAGE, OF_A_STUDY, OF_AN_EXPERIMENT
from pipeline.settings.render import STAGE


@pytest.mark.parametrize(("name", "least", "most"), [("dpi", 30, 600), ("tokens", 4, 64)])
def test_a_figure_is_neither_a_blur_nor_a_wall(accepted, refusal, name, least, most):
    for end in (least, most):
        assert getattr(accepted("render", **{name: end}), name) == end
    for beyond, rule in ((least - 1, f"greater than or equal to {least}"), (most + 1, f"less than or equal to {most}")):
        assert refusal("render", **{name: beyond}).startswith(f"render.{name}={beyond}: input should be {rule}")


def test_figures_that_stages_draw_themselves_do_not_make_it_run_again():
    drawn = {name.rpartition(".")[2] for name in STAGE.by_name}
    assert drawn == {*OF_AN_EXPERIMENT, *OF_A_STUDY}
    assert not drawn & set(OF_A_STAGE)
