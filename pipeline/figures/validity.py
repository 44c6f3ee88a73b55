"""How well each score tells which heads, and which pairs of heads, the loss rests on."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import (
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    LINE,
    ORANGE,
    PURPLE,
    SKY,
    confidence_of,
    keyed,
    percent,
    sentence,
)

TITLE = "Which scores tell what a head does to the loss"
CAPTION = (
    "Rank correlation, within each run and averaged over seeds, of a score with what the loss gains: above the line "
    "when the head's output is replaced by its mean, below it when the pair's edge is cut (through queries, keys or "
    "values: in brackets), on held-out text with a copied segment. Bars: {confidence} intervals, from draws of seeds "
    "and of heads within them; none for one seed. Grey: where {central} of random orders of the heads lie. Filled: q < "
    "{significance:g}."
)
CLASSES = {"second_copy": "loss on\nsecond copies", "novel": "loss on\nnovel tokens"}
SETS = {
    "weights": ("weights", BLUE),
    "text": ("held-out text", GREEN),
    "repeated_text": ("text with a copied segment", ORANGE),
    "natural_repeats": ("text that repeats itself", SKY),
    "repeated_tokens": ("random tokens that repeat", PURPLE),
}
LEFT_OUT = " (token|preference)(?=.*:)"  # of a metric's name, for which there is no room
# Each kind of pair is compared with the edge that it speaks of.
EDGES = {
    "Q_composition": "edge_Q",
    "K_composition": "edge_K",
    "V_composition": "edge_V",
    "K_circuit": "edge_K",
    "virtual": "edge_V",
}


@drawn_from("validity")
def validity(validity: pd.DataFrame) -> Figure:
    """Draw correlations as dots [score], a panel a class of tokens, a colour a set the score was measured on.

    Args:
        validity: VALIDITY of one experiment.
    """
    rows = _shown(validity)
    if rows.empty:
        return sentence(TITLE, "This experiment has no heads whose scores and effects could be compared.")
    order = list(dict.fromkeys(rows["row"]))
    caption = CAPTION.format(
        confidence=confidence_of(rows),
        central=percent(2 * rows["confidence"].iloc[0] - 1),
        significance=rows["significance"].iloc[0],
    )
    figure, drawn, keys = keyed(TITLE, caption, 1.25 * LINE * len(order) + 0.55, 1 + len(SETS))
    panels = drawn.subplots(1, len(CLASSES), sharey=True)
    for axes, (token_class, words) in zip(panels, CLASSES.items(), strict=True):
        _panel(axes, rows[rows["token_class"] == token_class], order)
        axes.axhline(rows.loc[~rows["of_pairs"], "row"].nunique() - 0.5, color=GREY, linewidth=0.6)
        axes.set(
            title=words, xlabel="rank correlation", xlim=(-1.02, 1.02), xticks=[-1, 0, 1], ylim=(len(order) - 0.4, -0.6)
        )
        axes.set_yticks(range(len(order)), order)
        axes.tick_params(axis="y", length=0)
    measured = [words for eval_set, words in SETS.items() if eval_set in set(rows["eval_set"])]
    dots = [Line2D([], [], color=colour, marker="o", linestyle="", label=words) for words, colour in measured]
    keys.legend(handles=dots, title="score measured on", loc="upper left", alignment="left")
    return figure


def _shown(validity: pd.DataFrame) -> pd.DataFrame:
    """Return the correlations to draw, each with the name of its row; heads first, then pairs."""
    rows = validity[(validity["statistic"] == "spearman") & (validity["effect_set"] == "repeated_text")]
    rows = rows[rows["token_class"].isin(CLASSES)]
    edge = rows["metric"].map(EDGES)
    rows = rows.assign(of_pairs=edge.notna())[(rows["effect"] == "mean") | (rows["effect"] == edge)]
    names = rows["metric"] + ": " + rows["definition"] + (" (" + edge.str[-1:] + ")").fillna("")
    rows = rows.assign(row=names.str.replace("_", " ").str.replace(LEFT_OUT, "", regex=True))
    return rows.sort_values(["of_pairs", "metric", "definition", "eval_set"], kind="stable")


def _panel(axes: Axes, rows: pd.DataFrame, order: list[str]) -> None:
    axes.axvline(0, color=GREY, linewidth=0.6)
    by_chance = rows.groupby("row")["control_hi"].max().reindex(order)
    axes.barh(range(len(order)), 2 * by_chance, left=-by_chance, height=0.9, color=LIGHT, alpha=0.6)
    by_row = rows.groupby("row")["value"]
    y = rows["row"].map(order.index) + 0.2 * (by_row.cumcount() - (by_row.transform("size") - 1) / 2)
    colours = rows["eval_set"].map({eval_set: colour for eval_set, (_, colour) in SETS.items()})
    axes.hlines(y, rows["lo"], rows["hi"], color=colours, linewidth=0.8)
    faces = colours.where(rows["q"] < rows["significance"], "white")
    axes.scatter(rows["value"], y, s=8, facecolors=faces, edgecolors=list(colours), linewidths=0.8, zorder=3)
