"""How the losses fell, and when copying from context set in."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLACK, BLUE, GREEN, GREY, LIGHT, RED, new, sentence

TITLE = "Losses during training, and when copying from context sets in"
CAPTION = (
    "Thin: one seed; thick: mean over seeds. First and second copy: a segment of held-out text and its copy later in "
    "the same sequence, each token predicted from all before it. Grey band: where the mean gap between them rises most "
    "steeply per log step, over intervals in which the step grows by half or more."
)
COLOURS = {"train": GREY, "heldout": BLACK, "first_copy": BLUE, "second_copy": RED}
NAMES = {
    "train": "training batch",
    "heldout": "held-out text",
    "first_copy": "first copy",
    "second_copy": "second copy",
}
SHORTEST = 1.5  # the step must grow by this factor over an interval, or noise late in training wins


@drawn_from("training_curve")
def training_curve(training_curve: pd.DataFrame) -> Figure:
    """Draw every loss against the step, and the gap between first and second copies with its steepest rise.

    Args:
        training_curve: TRAINING_CURVE of one experiment, all seeds.
    """
    if training_curve.empty:
        return sentence(TITLE, "This model was not trained here, so there is no curve to show.")
    figure = new(TITLE, CAPTION, 3.8)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    for split, colour in COLOURS.items():
        rows = training_curve[training_curve["split"] == split]
        _seeds_and_mean(upper, rows.pivot(index="step", columns="seed", values="loss"), colour, NAMES[split])
    upper.set_ylabel("loss (nats per token)")
    upper.set_ylim(0, None)
    upper.legend(loc="lower left")

    gaps = copy_gap(training_curve)
    lower.axhline(0, color=LIGHT, linewidth=0.8)
    _seeds_and_mean(lower, gaps, GREEN, "first minus second copy")
    lower.set(ylabel="gap (nats per token)", xlabel="optimiser steps (log scale; 0 at the left edge)")
    title = "gap: first minus second copy"
    if (change := steepest_rise(gaps.mean(axis=1))) is not None:
        start, end, rise = change
        for axes in (upper, lower):
            axes.axvspan(start, end, color=LIGHT, alpha=0.7, linewidth=0, zorder=0)
        title += f";\nsteepest rise: {rise:+.2f} nats from step {start:,} to step {end:,}"
    lower.set_title(title)
    steps = training_curve["step"]
    smallest = int(steps[steps > 0].min())
    lower.set_xscale("symlog", linthresh=smallest, linscale=0.3)
    ticks = [0] + [10**power for power in range(math.ceil(math.log10(smallest)), 12) if 10**power <= steps.max()]
    lower.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    lower.minorticks_off()
    lower.set_xlim(0, steps.max())
    return figure


def copy_gap(curve: pd.DataFrame) -> pd.DataFrame:
    """Return loss on first copies minus loss on second copies, nats per token, [step, seed]."""
    first, second = (
        curve[curve["split"] == split].pivot(index="step", columns="seed", values="loss")
        for split in ("first_copy", "second_copy")
    )
    return first - second


def steepest_rise(gap: pd.Series) -> tuple[int, int, float] | None:
    """Find where a gap rises most per log step.

    From each step after 0, the interval ends at the first measured step that is SHORTEST times as far.

    Args:
        gap: nats by step.

    Returns:
        First step, last step, and the rise between them; None if the gap never rises.
    """
    gap = gap[gap.index > 0].dropna().sort_index()
    steepest, interval = 0.0, None
    for start in gap.index:
        later = gap.index[gap.index >= SHORTEST * start]
        if len(later):
            rise = float(gap[later[0]] - gap[start])
            if (slope := rise / math.log(later[0] / start)) > steepest:
                steepest, interval = slope, (int(start), int(later[0]), rise)
    return interval


def _seeds_and_mean(axes: Axes, values: pd.DataFrame, colour: str, text: str) -> None:
    if values.empty:
        return
    if values.shape[1] > 1:
        axes.plot(values.index, values, color=colour, linewidth=0.5, alpha=0.5)
    axes.plot(values.index, values.mean(axis=1), color=colour, label=text)
