"""Figures of how the circuit came about and of what experiments changed: emergence, effects."""

import pytest
from matplotlib.colors import to_rgba

from pipeline.figures.effects import effects as draw_effects
from pipeline.figures.emergence import COLOURS
from pipeline.figures.emergence import emergence as draw_emergence
from pipeline.figures.style import BLUE
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.effects import EFFECTS
from pipeline.tables.judge.emergence import EMERGENCE
from pipeline.tables.score_checkpoints import CHECKPOINT_SCORES


def of_base(frame):
    return frame[frame["experiment"] == "base"]


def test_made_up_tables_are_what_their_declarations_say(checkpoint_scores, emergence, effects, tmp_path):
    for table, frame in ((CHECKPOINT_SCORES.with_run(), checkpoint_scores), (EMERGENCE, emergence), (EFFECTS, effects)):
        write(table, frame, Paths([tmp_path / f"{table.name}.parquet"]))


def test_every_event_has_a_panel_a_line_a_seed_and_its_mean_step(checkpoint_scores, emergence):
    figure = draw_emergence(of_base(checkpoint_scores), of_base(emergence))
    assert len(figure.axes) == 6
    previous = figure.axes[0]
    seeds = [line for line in previous.lines if len(line.get_xdata()) == 8]
    assert len(seeds) == 2
    assert list(seeds[0].get_ydata()) == [0, 0, 0, 0.9, 0.9, 0.9, 0.9, 0.9]
    assert [line.get_xdata()[0] for line in previous.lines if line.get_linestyle() == "--"] == [32]
    copying = figure.axes[3]
    assert not [line for line in copying.lines if line.get_linestyle() == "--"]


def test_the_losses_show_every_events_step_in_its_colour(checkpoint_scores, emergence):
    losses = draw_emergence(of_base(checkpoint_scores), of_base(emergence)).axes[-1]
    marked = {line.get_color(): line.get_xdata()[0] for line in losses.lines if line.get_linestyle() == "--"}
    when = {"previous_token": 32, "k_composition": 32, "prefix_matching": 142, "loss_drop": 142}
    assert marked == {COLOURS[event]: step for event, step in when.items()}
    names = [text.get_text() for text in losses.get_legend().get_texts()]
    assert names == ["held-out text", "first copy", "second copy"]


def test_the_title_gives_the_order(checkpoint_scores, emergence):
    title = draw_emergence(of_base(checkpoint_scores), of_base(emergence)).get_suptitle().replace("\n", " ")
    assert title.index("previous token at 32") < title.index("prefix matching at 142")
    assert "copying" not in title


def test_small_changes_do_not_fill_their_panel(checkpoint_scores, emergence):
    quiet = of_base(checkpoint_scores).assign(
        value=lambda rows: rows["value"].where(rows["metric"] != "induction", 0.01)
    )
    low, high = draw_emergence(quiet, of_base(emergence)).axes[2].get_ylim()
    assert high - low >= 1


def test_effects_are_filled_where_they_are_significant_and_kept_in_view(effects):
    figure = draw_effects(effects)
    scores, _, losses, _ = figure.axes
    dots = {line.get_ydata()[0]: line for line in scores.lines if line.get_marker() == "o"}
    assert dots[0].get_markerfacecolor() == BLUE
    assert dots[1].get_markerfacecolor() == "white"
    assert dots[4].get_xdata()[0] == -0.1  # no interval, and still a dot
    assert scores.get_xlim() == pytest.approx((-1.04, 1.04))  # not as wide as the widest interval
    assert losses.get_xlim() == pytest.approx((-2.6, 2.6))
    assert scores.get_title(loc="left") == "base\n2 of 5 measures differ"
    assert to_rgba(BLUE) == to_rgba(dots[0].get_color())


def test_one_seed_is_no_test(effects):
    figure = draw_effects(effects.assign(lo=None, hi=None, p=float("nan"), q=float("nan")))
    assert "one seed, no test" in figure.axes[0].get_title(loc="left")


def test_nothing_to_draw_is_said(checkpoint_scores, emergence, effects):
    for figure in (draw_emergence(checkpoint_scores.iloc[:0], emergence.iloc[:0]), draw_effects(effects.iloc[:0])):
        assert figure.axes == []
        assert figure.get_supxlabel().endswith(".")
