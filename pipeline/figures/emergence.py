"""How the circuit came about: each of its parts against the step, and when each appeared."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.claims.emergence import EVENTS, curves
from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLACK, BLUE, GREEN, LIGHT, ORANGE, PURPLE, RED, confidence_of, new, sentence

TITLE = "When the parts of the circuit appear"
CAPTION = (
    "One line a seed; heads are those that the last checkpoint shows to be best, followed back. Dots: change points "
    "(middle of a level-ramp-level fit), with {confidence} intervals; none where a part never appears. Vertical lines: "
    "their geometric mean over seeds, in all colours in the last panel. K-composition: of the best previous-token head "
    "with the best induction head. Steps on the scale of the fit, log(step + first checkpoint)."
)
COLOURS: dict[str, str] = dict(zip(EVENTS, (BLUE, PURPLE, ORANGE, GREEN, RED), strict=True))
PANELS = {  # title, unit, and what the axis shows at least, so that noise looks like noise
    "previous_token": ("attention to the token before, best such head", "probability", (0, 1)),
    "k_composition": ("K-composition of both heads", "times chance", (0.5, 2)),
    "prefix_matching": ("prefix matching, best induction head, worst period", "probability", (0, 1)),
    "copying": ("copying by its OV circuit", "score", (0, 1)),
    "loss_drop": ("loss on first minus loss on second copies in text", "nats", (0, 1)),
}
NAMES = dict(zip(EVENTS, ("previous token", "K-composition", "prefix matching", "copying", "loss drop"), strict=True))
LOSSES = {
    ("text", "other"): (BLACK, "held-out text"),
    ("repeated_text", "first_copy"): (BLUE, "first copy"),
    ("repeated_text", "second_copy"): (RED, "second copy"),
}
TICKS = (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
MOST_TICKS = 7  # that there is room for


@drawn_from("checkpoint_scores", "emergence")
def emergence(checkpoint_scores: pd.DataFrame, emergence: pd.DataFrame) -> Figure:
    """Draw what each event is seen in, when it happened, and the losses beneath.

    Args:
        checkpoint_scores: CHECKPOINT_SCORES of one experiment, all seeds.
        emergence: EMERGENCE of the same.
    """
    if checkpoint_scores.empty:
        return sentence(TITLE, "This model has no checkpoints, so there is no training to follow.")
    seeds = [curves(rows) for _, rows in checkpoint_scores.groupby("seed")]
    events = [event for event in EVENTS if any(event in seen for seen in seeds)]
    caption = CAPTION.format(confidence=confidence_of(emergence))
    figure = new(f"{TITLE}{_order(emergence)}", caption, 0.9 * len(events) + 1.9)
    grid = figure.subplots(len(events) + 1, 1, sharex=True, height_ratios=[1] * len(events) + [1.7])
    for axes, event in zip(grid, events, strict=False):
        for seen in seeds:
            if event in seen:
                values = seen[event][1]
                axes.plot(values.index, values, color=COLOURS[event], linewidth=0.9, alpha=0.7)
        rows = emergence[emergence["event"] == event]
        _marks(axes, rows[rows["seed"].notna()], COLOURS[event])
        _mean(axes, rows[rows["seed"].isna()], COLOURS[event])
        title, unit, (low, high) = PANELS[event]
        axes.set(title=title, ylabel=unit)
        axes.set_ylim(min(low, axes.get_ylim()[0]), max(high, axes.get_ylim()[1]))
    _losses(grid[-1], checkpoint_scores)
    for event in events:
        rows = emergence[(emergence["event"] == event) & emergence["seed"].isna()]
        _mean(grid[-1], rows, COLOURS[event])
    _steps(grid[-1], np.unique(checkpoint_scores["step"]))
    return figure


def _order(emergence: pd.DataFrame) -> str:
    """Return the events that happened, in order of their mean steps, in words."""
    over = emergence[emergence["seed"].isna()].dropna(subset="step").sort_values("step")
    named = [f"{NAMES[event]} at {step:,.0f}" for event, step in zip(over["event"], over["step"], strict=True)]
    return f": {', '.join(named)}" if named else ": none does"


def _marks(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    """A dot a seed, half way between the levels, with its interval."""
    rows = rows.dropna(subset="step")
    step, level = rows["step"].to_numpy(float), rows[["before_level", "after_level"]].mean(axis=1).to_numpy(float)
    reach = [step - rows["lo"].to_numpy(float), rows["hi"].to_numpy(float) - step]
    axes.errorbar(step, level, xerr=reach, fmt="o", color=colour, markersize=3, elinewidth=0.8)


def _mean(axes: Axes, rows: pd.DataFrame, colour: str) -> None:
    for step in rows["step"].dropna():
        axes.axvline(step, color=colour, linewidth=0.8, linestyle="--", zorder=0)


def _losses(axes: Axes, checkpoint_scores: pd.DataFrame) -> None:
    rows = checkpoint_scores[checkpoint_scores["metric"] == "loss"]
    for (eval_set, token_class), (colour, text) in LOSSES.items():
        chosen = rows[(rows["eval_set"] == eval_set) & (rows["definition"] == token_class)]
        values = chosen.pivot(index="step", columns="seed", values="value")
        if len(values):
            lines = axes.plot(values.index, values, color=colour, linewidth=0.9, alpha=0.7)
            lines[0].set_label(text)
    axes.set(title="losses", ylabel="nats")
    axes.set_ylim(0, None)
    axes.legend(loc="lower left")


def _steps(axes: Axes, steps: np.ndarray) -> None:
    """Put steps on the scale on which change points are fitted."""
    first = min(steps[steps > 0], default=1)
    axes.set_xscale("function", functions=(lambda step: np.log(step + first), lambda place: np.exp(place) - first))
    ticks = [tick for tick in TICKS if tick == 0 or first <= tick <= steps.max()]
    ticks = ticks[:: -(-len(ticks) // MOST_TICKS)]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(0, steps.max())
    axes.set_xlabel("optimiser steps")
    axes.grid(axis="x", color=LIGHT, linewidth=0.4)
