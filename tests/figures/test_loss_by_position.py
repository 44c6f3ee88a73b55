from made_up import of_base

from pipeline.figures.loss_by_position import loss_by_position as draw


def test_losses_have_a_panel_a_set_and_a_line_a_class(loss_by_position):
    panels = [axes for axes in draw(of_base(loss_by_position)).axes if axes.lines]
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == ["held-out text", "held-out text with a copied segment", "random tokens, period 37"]
    legends = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in panels]
    assert legends == [["other tokens (4.00)"], *[["first copy (3.00)", "second copy (1.00)"]] * 2]


def test_a_thick_line_is_the_mean_of_the_thin_ones(loss_by_position):
    rows = of_base(loss_by_position)
    rows = rows.assign(loss=rows["loss"] + rows["seed"])
    text = draw(rows).axes[0]
    thin, thick = text.lines[:2], text.lines[2]
    assert [set(line.get_ydata()) for line in thin] == [{4.0}, {5.0}]
    assert set(thick.get_ydata()) == {4.5}
