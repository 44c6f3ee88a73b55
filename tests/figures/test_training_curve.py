import math

import pandas as pd
import pytest

from pipeline.figures.training_curve import copy_gap, steepest_rise, training_curve


def test_the_marked_interval_is_where_the_gap_opens(training_curve_frame):
    assert steepest_rise(copy_gap(training_curve_frame).mean(axis=1)) == (100, 200, 2.0)
    figure = training_curve(training_curve_frame)
    for axes in figure.axes:
        band = axes.patches[0]
        assert (band.get_x(), band.get_x() + band.get_width()) == (100, 200)
    assert "+2.00 nats from step 100 to step 200" in figure.axes[1].get_title(loc="left")


def test_noise_between_close_steps_late_in_training_is_not_the_steepest_rise():
    gap = pd.Series({100: 0.0, 200: 1.0, 1000: 1.0, 1001: 1.1, 1600: 1.0})
    # 1000 to 1001 rises 100 times as steeply; from 100 to 200 the gap rises 1 nat in log 2.
    start, end, rise = steepest_rise(gap)
    assert (start, end, rise) == (100, 200, 1.0)
    assert 0.1 / math.log(1001 / 1000) > 1 / math.log(2)


@pytest.mark.parametrize("gap", [{1: 1.0, 2: 0.5, 4: 0.2}, {1: 0.3, 2: 0.3}, {0: 0.0, 10: 5.0}, {}])
def test_a_gap_that_never_rises_has_no_interval(gap):
    assert steepest_rise(pd.Series(gap, dtype=float)) is None


def test_every_loss_has_a_mean_and_a_line_a_seed(training_curve_frame):
    upper, lower = training_curve(training_curve_frame).axes
    assert len(upper.lines) == 4 * (1 + 2)
    names = [text.get_text() for text in upper.get_legend().get_texts()]
    assert names == ["training batch", "held-out text", "first copy", "second copy"]
    mean = next(line for line in lower.lines if line.get_label() == "first minus second copy")
    assert list(mean.get_ydata()) == [0, 0, 0, 0, 0, 2, 2, 2]


@pytest.fixture
def training_curve_frame(request):
    frame = request.getfixturevalue("training_curve")
    return frame[frame["experiment"] == "base"]
