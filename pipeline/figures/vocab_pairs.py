"""The strongest token pairs of the heads that matter most, as text."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.heads import first_seed, leading_heads, name, of_head
from pipeline.figures.style import BLUE, GREY, LIGHT, LINE, RED, label, new, sentence

TITLE = "What two heads do to words: the strongest pairs of their circuits through the vocabulary"
CAPTION = (
    "First seed. Largest (blue) and smallest (orange) entries over all pairs of tokens{that}, exactly. OV: attending "
    "to the left token moves the logit of the right one by so much; the same token twice is copying. QK: score with "
    "which the left token looks at the right one, by content alone. Ġ: a space, Ċ: a line end."
)
LISTED = 6  # pairs at each end
UNITS = {"OV": "logits", "QK": "scores"}
COLOURS = {"top": BLUE, "bottom": RED}


@drawn_from("vocab_pairs", "head_scores")
def vocab_pairs(vocab_pairs: pd.DataFrame, head_scores: pd.DataFrame) -> Figure:
    """Draw both circuits' lists for the best previous-token head and for the best induction head.

    Args:
        vocab_pairs: VOCAB_PAIRS of one experiment.
        head_scores: HEAD_SCORES of it.
    """
    pairs, heads = first_seed(vocab_pairs), leading_heads(head_scores)
    if pairs.empty or not heads:
        return sentence(TITLE, "This experiment lists no pairs of a head that has a role.")
    that = "".join(f" that pass {name}" for name in pairs["filters"].unique() if name)
    that += ", read behind the first feed-forward part" if "after_mlp0" in set(pairs["emb_mode"]) else ""
    panels = [(head, words, circuit) for head, words in heads.items() for circuit in UNITS]
    figure = new(TITLE, CAPTION.format(that=that), len(panels) * (1.05 * LINE * 2 * LISTED + 0.5))
    for axes, (head, words, circuit) in zip(figure.subplots(len(panels), 1), panels, strict=True):
        listed = of_head(pairs, head)
        # Behind the first feed-forward part, if read; the smallest distance.
        listed = listed[listed["circuit"] == circuit].sort_values(["emb_mode", "distance", "rank"])
        listed = listed[listed["rank"] < LISTED].drop_duplicates(["end", "rank"])
        _list(axes, pd.concat([listed[listed["end"] == end] for end in COLOURS]))
        axes.set_title(f"Head {name(head)}, {words}\n{circuit}, {UNITS[circuit]}")
    return figure


def _list(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw a list of pairs, the largest on top, the smallest at the bottom."""
    places = [
        place if end == "top" else 2 * LISTED - 1 - place for place, end in zip(rows["rank"], rows["end"], strict=True)
    ]
    axes.barh(places, rows["value"], color=list(rows["end"].map(COLOURS)), alpha=0.6, height=0.75)
    pairs = zip(rows["row_token"], rows["column_token"], strict=True)
    axes.set_yticks(places, [f"{label(row, 12)} → {label(column, 12)}" for row, column in pairs])
    axes.axvline(0, color=LIGHT, linewidth=0.6)
    axes.set(ylim=(2 * LISTED - 0.4, -0.6))
    axes.tick_params(axis="y", length=0, labelcolor=GREY)
    axes.locator_params(axis="x", nbins=4)
