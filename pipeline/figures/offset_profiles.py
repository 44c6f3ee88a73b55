"""What each head does with distance: scores and attention by how far back the key is."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from pipeline.claims.keys import without_begin
from pipeline.figures.drawing import drawn_from
from pipeline.figures.heads import Head, first_seed, heads_of, leading_heads, listed_heads, name, of_head
from pipeline.figures.style import BLACK, GREY, KEY, LIGHT, RED, SMALL, by_distance, new, sentence
from pipeline.figures.terms import COLOURS, four_terms_of, rest_alone, total

TITLE = "Scores and attention by distance between query and key"
CAPTION = (
    "First seed, held-out text, mean over sentences and queries. Distance: query position minus key position, 0 is the "
    "token itself, 1 the one before; up to half the longest, beyond which few queries remain. Scores are row-centred. "
    "Stream: everything but position. Below: attention of every head on one common scale; the heads shown above are "
    "drawn in orange."
)
COLUMNS = 4  # of the heads in small


@drawn_from("offset_profiles", "head_scores")
def offset_profiles(offset_profiles: pd.DataFrame, head_scores: pd.DataFrame) -> Figure:
    """Draw the terms of the leading heads by offset, and the attention of all heads in small.

    Args:
        offset_profiles: OFFSET_PROFILES of one experiment.
        head_scores: HEAD_SCORES of the same, to choose heads by.
    """
    profiles = without_begin(first_seed(offset_profiles)).sort_values("offset")
    if profiles.empty:
        return sentence(TITLE, "No profile over distances was measured in this experiment.")
    profiles = profiles[profiles["offset"] <= profiles["offset"].max() / 2]
    heads, others = listed_heads(profiles, "mean_pattern", "mean attention at one distance")
    every = heads_of(profiles)
    leading = {head: role for head, role in leading_heads(head_scores).items() if head in every}
    heights = [0.62 * -(-len(heads) // COLUMNS) + 0.3]
    if leading:
        heights = [1.4 * len(leading), 4 * KEY, *heights]
    figure = new(TITLE, CAPTION + rest_alone(profiles) + others, sum(heights))
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if leading:
        rows = parts[0].subfigures(len(leading), 1, squeeze=False)[:, 0]
        for row, (head, role) in zip(rows, leading.items(), strict=True):
            row.suptitle(f"Head {name(head)}: {role}", x=0.01, ha="left", fontsize=7.5)
            _head(row.subplots(1, 2), of_head(profiles, head))
        lines, texts = rows[0].axes[0].get_legend_handles_labels()
        parts[1].legend(lines, texts, title="query-key", loc="upper left", ncols=2)
    _all_heads(parts[-1], profiles, heads, set(leading))
    return figure


def _head(row: np.ndarray, profiles: pd.DataFrame) -> None:
    row[0].axhline(0, color=LIGHT, linewidth=0.8)
    whole = total(profiles)
    for (pair, rows), colour in zip(four_terms_of(profiles).items(), COLOURS, strict=False):
        row[0].plot(rows["offset"], rows["mean_score"], color=colour, label=pair, linewidth=1)
    row[0].plot(whole["offset"], whole["mean_score"], color=BLACK, label="sum of all terms", linewidth=1)
    row[0].set_title("mean score, row-centred")
    row[1].plot(whole["offset"], whole["mean_pattern"], color=RED)
    row[1].set(title="mean attention", ylim=(0, None))
    for axes in row:
        by_distance(axes)
        axes.set_xlabel("distance back (tokens)")


def _all_heads(figure: SubFigure, profiles: pd.DataFrame, heads: list[Head], marked: set[Head]) -> None:
    grid = figure.subplots(-(-len(heads) // COLUMNS), COLUMNS, squeeze=False, sharex=True, sharey=True)
    for axes, head in zip(grid.flat, heads, strict=False):
        whole = total(of_head(profiles, head))
        axes.plot(whole["offset"], whole["mean_pattern"], color=RED if head in marked else GREY, linewidth=1)
        axes.set_title(name(head))
        axes.set(ylim=(0, 1), yticks=[0, 1])
        by_distance(axes)
    for axes in grid.flat[len(heads) :]:
        axes.remove()
    figure.supxlabel("distance back (tokens)", fontsize=SMALL)
    figure.supylabel("mean attention (probability)", fontsize=SMALL)
