"""What every head does: one small map a score, in which every head of every seed has its place."""

from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot
from pipeline.figures.heads import leading_head, name
from pipeline.figures.style import SCORES, new, sentence

TITLE = "What each head does"
CAPTION = (
    "Each map: heads across, the layers of each seed down. Colour: the score minus chance (given), over the "
    "map's largest such distance; red is more. Means over periods. Attention is measured on held-out text, induction "
    "on repeated random tokens. All definitions, and the numbers, are in head_scores. A head's number means nothing "
    "across seeds."
)
WIDTH, ACROSS = 3.5, 3  # inches, so that it fits a column as it is; maps side by side
TITLE_LETTERS = 18  # on a line
ROOM = 8  # labels along one side of a map
SMALL = 6.5  # points
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
    figure = new(_title(head_scores), CAPTION, WIDTH, down * (min(max(0.075 * len(layers), 0.4), 2) + 0.42) + 1.9)
    panels = figure.subplots(down, ACROSS, squeeze=False)
    across = _thinned([str(head) for head in heads])
    for at, (axes, ((metric, _), rows)) in enumerate(zip(panels.flat, maps.items(), strict=False)):
        chance = rows["chance"].mean()
        place = [layers.index(pair) for pair in zip(rows["seed"], rows["layer"], strict=True)]
        matrix = pivot(rows.assign(place=place), "place", "head", "value", list(range(len(layers))), heads)
        distance = matrix - (chance if np.isfinite(chance) else 0)
        largest = np.nanmax(np.abs(distance)) or 1
        heat_map(axes, distance / largest, _labels(layers), across, SCORES, Normalize(-1, 1))
        axes.tick_params(labelsize=SMALL, labelleft=at % ACROSS == 0, labelbottom=at + ACROSS >= len(maps))
        axes.tick_params(axis="x", rotation=0)
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


def _labels(layers: list[tuple[int, int]]) -> list[str]:
    """Name the first layer of each seed by the seed; of one seed alone, every layer."""
    seeds = [seed for seed, _ in layers]
    if len(set(seeds)) == 1:
        return _thinned([str(layer) for _, layer in layers])
    return [f"seed {seed}" if at == seeds.index(seed) else "" for at, seed in enumerate(seeds)]


def _thinned(labels: list[str]) -> list[str]:
    """Keep as many labels, evenly, as there is room for."""
    every = -(-len(labels) // ROOM)
    return [label if at % every == 0 else "" for at, label in enumerate(labels)]


def _of_one_set(frame: pd.DataFrame, metric: str, definition: str) -> pd.DataFrame:
    """Return one definition's rows on one set of sequences, means over its periods."""
    rows = frame[(frame["metric"] == metric) & (frame["definition"] == definition)].dropna(subset="value")
    sets = INDUCTION_SETS if metric == "induction" else EVAL_SETS
    choice = next((eval_set for eval_set in sets if eval_set in set(rows["eval_set"])), None)
    return rows[rows["eval_set"] == choice].groupby(PLACE, as_index=False)[["value", "chance"]].mean()
