"""What every head does: one small map a score, in which every head of every seed has its place."""

from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot, room
from pipeline.figures.heads import leading_head, name
from pipeline.figures.style import SCORES, SMALL, new, sentence

TITLE = "What each head does"
CAPTION = (
    "Each map: heads across, the layers of each seed down. Colour: the score minus chance (given), over the "
    "map's largest such distance; red is more. Means over periods. Attention is measured on held-out text, induction "
    "on repeated random tokens. All definitions, and the numbers, are in head_scores. A head's number means nothing "
    "across seeds."
)
ACROSS = 3  # maps side by side
TITLE_LETTERS = 18  # on a line
# Each score by one definition, on one set of sequences: the first of these it was measured on.
SHOWN = (
    ("previous_token", "mean"),
    ("induction", "mass"),
    ("duplicate_token", "mass"),
    ("current_token", "mean"),
    ("first_token", "mean"),
    ("copying", "eigenvalue"),
    ("copy_suppression", "bottom10"),
    ("same_token_preference", "diagonal_z"),
    ("long_prefix", "match_2"),
    ("entropy", "of_even"),
    ("distance", "mean"),
    ("inactive", "output_norm"),
)
EVAL_SETS = ("text", "weights", "repeated_tokens", "repeated_text", "demo")
INDUCTION_SETS = ("repeated_tokens", "repeated_text", "text", "demo")
PLACE = ["seed", "layer", "head"]


@drawn_from("head_scores")
def head_scores(head_scores: pd.DataFrame) -> Figure:
    """Draw scores as [seed and layer, head], a map a metric.

    Args:
        head_scores: HEAD_SCORES of one experiment.
    """
    maps = {shown: rows for shown in SHOWN if len(rows := _of_one_set(head_scores, *shown))}
    if not maps:
        return sentence(TITLE, "No head of this experiment was scored.")
    layers = sorted({place for rows in maps.values() for place in zip(rows["seed"], rows["layer"], strict=True)})
    heads = sorted(set().union(*(rows["head"] for rows in maps.values())))
    down = -(-len(maps) // ACROSS)
    size = room(["seed 0"]) / ACROSS, min(max(0.075 * len(layers), 0.4), 2)
    figure = new(_title(head_scores), CAPTION, down * (size[1] + 0.42) + 0.2)
    panels = figure.subplots(down, ACROSS, squeeze=False)
    seeds = [seed for seed, _ in layers]
    labels = [str(layer) for _, layer in layers], [str(head) for head in heads]
    for at, (axes, ((metric, _), rows)) in enumerate(zip(panels.flat, maps.items(), strict=False)):
        chance = rows["chance"].mean()
        place = [layers.index(pair) for pair in zip(rows["seed"], rows["layer"], strict=True)]
        matrix = pivot(rows.assign(place=place), "place", "head", "value", list(range(len(layers))), heads)
        distance = matrix - (chance if np.isfinite(chance) else 0)
        largest = np.nanmax(np.abs(distance)) or 1
        heat_map(axes, distance / largest, *labels, SCORES, Normalize(-1, 1), size)
        if len(set(seeds)) > 1:  # a seed is named at its first layer
            axes.set_yticks([seeds.index(seed) for seed in set(seeds)], [f"seed {seed}" for seed in set(seeds)])
        axes.tick_params(labelleft=at % ACROSS == 0, labelbottom=at + ACROSS >= len(maps))
        by_chance = f"chance {chance:.2g}" if np.isfinite(chance) else ""
        lines = "\n".join(wrap(metric.replace("_", " "), TITLE_LETTERS))
        axes.set_title(f"{lines}\n{by_chance}", fontsize=SMALL)
    for axes in panels.flat[len(maps) :]:
        axes.remove()
    return figure


def _title(head_scores: pd.DataFrame) -> str:
    """Say which heads of the first seed are the first to look at."""
    says = {"previous_token": "looks one token back", "induction": "continues what it has seen"}
    found = {words: leading_head(head_scores, role) for role, words in says.items()}
    named = [f"{name(best[0])} {words}" for words, best in found.items() if best]
    return f"{TITLE}: {', '.join(named)} (first seed)" if named else TITLE


def _of_one_set(frame: pd.DataFrame, metric: str, definition: str) -> pd.DataFrame:
    """Return one definition's rows on one set of sequences, means over its periods."""
    rows = frame[(frame["metric"] == metric) & (frame["definition"] == definition)].dropna(subset="value")
    sets = INDUCTION_SETS if metric == "induction" else EVAL_SETS
    choice = next((eval_set for eval_set in sets if eval_set in set(rows["eval_set"])), None)
    return rows[rows["eval_set"] == choice].groupby(PLACE, as_index=False)[["value", "chance"]].mean()
