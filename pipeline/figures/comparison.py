"""Do the same heads form in every experiment? Key scores side by side."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.claims.best_heads import ranked_heads, role_scores
from pipeline.claims.keys import HEAD, RUN
from pipeline.claims.of_losses import second_copy_gain
from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLACK, BLUE, LIGHT, new, sentence

TITLE = "The same heads in every experiment?"
CAPTION = (
    "One dot a seed; the line is their mean. Previous-token head: mean attention to the "
    "token before on held-out text, best head. Induction head: attention to what followed a token's earlier "
    "occurrences in repeated random tokens, worst period, best head; its copying score: sum of its OV circuit's "
    "eigenvalues over the sum of their sizes. Gain: loss on first minus loss on second copies of held-out text."
)
PANELS = {
    "previous_token": ("best previous-token\nhead", "attention (probability)"),
    "induction": ("best induction head", "attention (probability)"),
    "copying": ("copying by the\ninduction head", "score, -1 to 1"),
    "gain": ("gain on second copies", "nats per token"),
}


@drawn_from("head_scores", "sentence_losses")
def comparison(head_scores: pd.DataFrame, sentence_losses: pd.DataFrame) -> Figure:
    """Draw four key numbers of every run, a row an experiment.

    Args:
        head_scores: HEAD_SCORES of a study.
        sentence_losses: SENTENCE_LOSSES of a study.
    """
    if head_scores.empty:
        return sentence(TITLE, "No head was scored.")
    experiments = list(dict.fromkeys(head_scores["experiment"]))
    numbers = key_numbers(head_scores, sentence_losses)
    figure = new(TITLE, CAPTION, 2 * (0.22 * len(experiments) + 0.6))
    grid = figure.subplots(2, 2, sharey=True)
    for axes, (column, (title, unit)) in zip(grid.flat, PANELS.items(), strict=True):
        axes.axvline(0, color=LIGHT, linewidth=0.8, zorder=0)
        for row, experiment in enumerate(experiments):
            _row(axes, row, numbers.loc[experiment, column].dropna().to_numpy())
        values = [0, 1, *numbers[column].dropna()]
        axes.set(title=title, xlabel=unit, xlim=(min(values) - 0.08, max(values) + 0.08))
        axes.grid(axis="y", color=LIGHT, linewidth=0.4)
    grid[0, 0].set_yticks(range(len(experiments)), [experiment.replace("_", " ") for experiment in experiments])
    grid[0, 0].set_ylim(len(experiments) - 0.5, -0.5)
    return figure


def key_numbers(head_scores: pd.DataFrame, sentence_losses: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of PANELS for every (experiment, seed); NaN where one was not measured."""
    previous, induction = (
        ranked_heads(head_scores, role).drop_duplicates(RUN) for role in ("previous_token", "induction")
    )
    copying = role_scores(head_scores, "copying").merge(induction[HEAD], on=HEAD)
    gains = {
        run: second_copy_gain({"sentence_losses": losses}) for run, losses in sentence_losses.groupby(RUN, sort=False)
    }
    return pd.DataFrame(
        {
            "previous_token": previous.set_index(RUN)["value"],
            "induction": induction.set_index(RUN)["value"],
            "copying": copying.set_index(RUN)["value"],
            "gain": pd.Series({run: gain.value for run, gain in gains.items() if gain is not None}, dtype=float),
        },
        index=head_scores.groupby(RUN).size().index,
    )


def _row(axes: Axes, row: int, values: np.ndarray) -> None:
    """Dots spread by seed, so that equal values stay visible, and their mean."""
    offsets = 0.3 * (np.arange(len(values)) - (len(values) - 1) / 2) / max(len(values) - 1, 1)
    axes.plot(values, row + offsets, "o", color=BLUE, markersize=3, alpha=0.8)
    if len(values):
        axes.plot([values.mean()] * 2, [row - 0.3, row + 0.3], color=BLACK, linewidth=1.2)
