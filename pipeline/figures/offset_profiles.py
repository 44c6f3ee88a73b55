"""What each head does with distance: scores and attention by how far back the key is."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from pipeline.claims.keys import without_begin
from pipeline.figures.drawing import drawn_from
from pipeline.figures.heads import first_seed, heads_of, leading_heads, name, of_head
from pipeline.figures.style import BLACK, GREY, LIGHT, RED, by_distance, new, sentence
from pipeline.figures.terms import COLOURS, four_terms_of, rest_alone, total

TITLE = "Scores and attention by distance between query and key"
CAPTION = (
    "First seed, held-out text, mean over sentences and queries. Distance: query position minus key position, 0 is the "
    "token itself, 1 the one before; up to half the longest, beyond which few queries remain. Scores are row-centred. "
    "Stream: everything but position. Below: attention of every head on one common scale; the heads shown above are "
    "drawn in orange."
)


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
    heads = heads_of(profiles)
    leading = {head: role for head, role in leading_heads(head_scores).items() if head in heads}
    layers = len({layer for layer, _ in heads})
    columns = len(heads) // layers
    width = max(9.0, 1.15 * columns)
    upper_height, lower_height = 2.6 * len(leading), 1.25 * layers + 0.4
    figure = new(TITLE, CAPTION + rest_alone(profiles), width, upper_height + lower_height + 0.9)
    heights = [upper_height, lower_height] if leading else [lower_height]
    parts = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if leading:
        for row, (head, role) in zip(parts[0].subplots(len(leading), 2, squeeze=False), leading.items(), strict=True):
            _head(row, of_head(profiles, head), f"Head {name(head)}, {role}")
    _all_heads(parts[-1], profiles, heads, layers, columns, set(leading))
    return figure


def _head(row: list[Axes], profiles: pd.DataFrame, title: str) -> None:
    row[0].axhline(0, color=LIGHT, linewidth=0.8)
    whole = total(profiles)
    for (pair, rows), colour in zip(four_terms_of(profiles).items(), COLOURS, strict=False):
        row[0].plot(rows["offset"], rows["mean_score"], color=colour, label=pair, linewidth=1.2)
    row[0].plot(whole["offset"], whole["mean_score"], color=BLACK, label="sum of all terms", linewidth=1.2)
    row[0].set(title=f"{title}: scores", ylabel="mean score, row-centred")
    row[0].legend(title="query-key", loc="upper left", bbox_to_anchor=(1, 1))
    row[1].plot(whole["offset"], whole["mean_pattern"], color=RED)
    row[1].set(title=f"{title}: attention", ylabel="mean attention (probability)", ylim=(0, None))
    for axes in row:
        by_distance(axes)
        axes.set_xlabel("distance back (tokens)")


def _all_heads(figure: SubFigure, profiles: pd.DataFrame, heads: list, layers: int, columns: int, marked: set) -> None:
    grid = figure.subplots(layers, columns, squeeze=False, sharex=True, sharey=True)
    for axes, head in zip(grid.flat, heads, strict=True):
        whole = total(of_head(profiles, head))
        axes.plot(whole["offset"], whole["mean_pattern"], color=RED if head in marked else GREY, linewidth=1)
        axes.set_title(name(head))
        axes.set_ylim(0, 1)
        by_distance(axes)
    figure.supxlabel("distance back (tokens)", fontsize=8)
    figure.supylabel("mean attention (probability)", fontsize=8)
