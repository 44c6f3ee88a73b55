"""How far back a rotary head looks by its weights: its scores by distance, and how much tokens change them."""

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.heads import first_seed, heads_of, leading_heads, name, of_head
from pipeline.figures.style import BLUE, LIGHT, by_distance, new, sentence

TITLE = "Scores of rotary heads by distance"
CAPTION = (
    "First seed, from the weights. Line: the score that any pair of tokens has so far apart, its mean over tokens as "
    "they stand in the text. Band: one standard deviation of pairs to either side, which is what tokens add. A "
    "peak above the band elsewhere is distance's alone, whatever tokens stand there."
)
EACH, LETTERS = 1.4, 54  # inches of a head's height; of a line of its title


@drawn_from("distance_scores", "head_scores")
def distance_scores(distance_scores: pd.DataFrame, head_scores: pd.DataFrame) -> Figure:
    """Draw a panel for the best previous-token and induction head, and for the one that goes by distance most.

    Args:
        distance_scores: DISTANCE_SCORES of one experiment.
        head_scores: HEAD_SCORES of it.
    """
    scores = first_seed(distance_scores).sort_values(["emb_mode", "distance"])
    scores = scores.drop_duplicates(["layer", "head", "distance"])  # behind the first feed-forward part, if read
    if scores.empty:
        return sentence(TITLE, "No head of this experiment has rotary positions: by weights, distance is nothing.")
    by_head = scores.groupby(["layer", "head"])
    peak = (by_head["position_part"].max() - by_head["position_part"].mean()) / by_head["content_part"].mean()
    furthest = max(heads_of(scores), key=lambda head: peak[head])
    said = {head: words for head, words in leading_heads(head_scores).items() if head in peak.index}
    said[furthest] = " and ".join([*filter(None, [said.get(furthest)]), "goes by distance most"])
    figure = new(TITLE, CAPTION, EACH * len(said) + 0.3)
    panels = figure.subplots(len(said), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (head, words) in zip(panels, said.items(), strict=True):
        _head(axes, of_head(scores, head), f"Head {name(head)}, {words}")
    panels[-1].set_xlabel("distance back (tokens)")
    return figure


def _head(axes: Axes, rows: pd.DataFrame, title: str) -> None:
    position, content = rows["position_part"], rows["content_part"]
    axes.axhline(0, color=LIGHT, linewidth=0.8)
    axes.fill_between(rows["distance"], position - content, position + content, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(rows["distance"], position, color=BLUE)
    axes.set(title=textwrap.fill(title, LETTERS), ylabel="score")
    by_distance(axes)
