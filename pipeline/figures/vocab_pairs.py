"""The strongest token pairs of the heads that matter most, as text."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.heads import first_seed, leading_heads, name, of_head
from pipeline.figures.style import BLUE, GREY, LIGHT, RED, label, new, sentence

TITLE = "What two heads do to words: the strongest pairs of their circuits through the vocabulary"
CAPTION = (
    "First seed. Largest (blue) and smallest (orange) entries over all pairs of tokens{that}, exactly. OV: attending "
    "to the left token moves the logit of the right one by so much; the same token twice is copying. QK: score with "
    "which the left token looks at the right one, by content alone. Ġ: a space, Ċ: a line end."
)
LISTED = 12
PANELS = [(circuit, end) for circuit in ("OV", "QK") for end in ("top", "bottom")]


@drawn_from("vocab_pairs", "head_scores")
def vocab_pairs(vocab_pairs: pd.DataFrame, head_scores: pd.DataFrame) -> Figure:
    """Draw a row of four lists for the best previous-token head and for the best induction head.

    Args:
        vocab_pairs: VOCAB_PAIRS of one experiment.
        head_scores: HEAD_SCORES of it.
    """
    pairs, heads = first_seed(vocab_pairs), leading_heads(head_scores)
    if pairs.empty or not heads:
        return sentence(TITLE, "This experiment lists no pairs of a head that has a role.")
    that = "".join(f" that pass {name}" for name in pairs["filters"].unique() if name)
    that += ", read behind the first feed-forward part" if "after_mlp0" in set(pairs["emb_mode"]) else ""
    figure = new(TITLE, CAPTION.format(that=that), 11, 2.6 * len(heads) + 1)
    grid = figure.subplots(len(heads), len(PANELS), squeeze=False)
    for row, (head, words) in zip(grid, heads.items(), strict=True):
        for axes, (circuit, end) in zip(row, PANELS, strict=True):
            listed = of_head(pairs, head)
            listed = listed[(listed["circuit"] == circuit) & (listed["end"] == end)]
            listed = listed.sort_values(["emb_mode", "distance", "rank"])  # behind the first feed-forward part, if read
            listed = listed.drop_duplicates("rank").head(LISTED)
            _list(axes, listed, end)
            title = f"{name(head)} {circuit}, {'largest' if end == 'top' else 'smallest'}"
            axes.set_title(f"Head {name(head)}, {words}\n{title}" if axes is row[0] else title)
    return figure


def _list(axes: Axes, rows: pd.DataFrame, end: str) -> None:
    """Draw a list of pairs, the strongest on top."""
    places = range(len(rows))
    axes.barh(places, rows["value"], color=BLUE if end == "top" else RED, alpha=0.6, height=0.75)
    pairs = zip(rows["row_token"], rows["column_token"], strict=True)
    axes.set_yticks(places, [f"{label(row)} → {label(column)}" for row, column in pairs])
    axes.axvline(0, color=LIGHT, linewidth=0.6)
    axes.set(ylim=(LISTED - 0.4, -0.6))
    axes.tick_params(axis="y", length=0, labelcolor=GREY)
    axes.locator_params(axis="x", nbins=4)
