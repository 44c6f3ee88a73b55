from made_up import caption, of_base

from pipeline.figures.emergence import COLOURS
from pipeline.figures.emergence import emergence as draw


def test_every_event_has_a_panel_a_line_a_seed_and_its_mean_step(checkpoint_scores, emergence):
    figure = draw(of_base(checkpoint_scores), of_base(emergence))
    assert len(figure.axes) == 6
    previous = figure.axes[0]
    seeds = [line for line in previous.lines if len(line.get_xdata()) == 8]
    assert len(seeds) == 2
    assert list(seeds[0].get_ydata()) == [0, 0, 0, 0.9, 0.9, 0.9, 0.9, 0.9]
    assert [line.get_xdata()[0] for line in previous.lines if line.get_linestyle() == "--"] == [32]
    copying = figure.axes[3]
    assert not [line for line in copying.lines if line.get_linestyle() == "--"]


def test_the_losses_show_every_events_step_in_its_colour(checkpoint_scores, emergence):
    losses = draw(of_base(checkpoint_scores), of_base(emergence)).axes[-1]
    marked = {line.get_color(): line.get_xdata()[0] for line in losses.lines if line.get_linestyle() == "--"}
    when = {"previous_token": 32, "k_composition": 32, "prefix_matching": 142, "loss_drop": 142}
    assert marked == {COLOURS[event]: step for event, step in when.items()}
    names = [text.get_text() for text in losses.get_legend().get_texts()]
    assert names == ["held-out text", "first copy", "second copy"]


def test_the_title_gives_the_order(checkpoint_scores, emergence):
    title = draw(of_base(checkpoint_scores), of_base(emergence)).get_suptitle().replace("\n", " ")
    assert title.index("previous token at 32") < title.index("prefix matching at 142")
    assert "copying" not in title


def test_small_changes_do_not_fill_their_panel(checkpoint_scores, emergence):
    quiet = of_base(checkpoint_scores).assign(
        value=lambda rows: rows["value"].where(rows["metric"] != "induction", 0.01)
    )
    low, high = draw(quiet, of_base(emergence)).axes[2].get_ylim()
    assert high - low >= 1


def test_the_caption_tells_how_sure(checkpoint_scores, emergence):
    assert "with 90 % intervals" in caption(draw(of_base(checkpoint_scores), of_base(emergence)))
