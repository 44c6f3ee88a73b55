"""Which sources a head's scores come from: shares of their variance."""

import re

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure, SubFigure

from pipeline.claims.keys import without_begin
from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot
from pipeline.figures.heads import Head, first_seed, leading_head, name, of_head
from pipeline.figures.style import GREY, LIGHT, SCORES, confidence_of, new, sentence
from pipeline.figures.terms import COLOURS, four_terms_of, rest_alone

TITLE = "Which sources the variance of attention scores comes from"
CAPTION = (
    "First seed, held-out text. Share: covariance of a term with the whole score over the variance of the whole score, "
    "all row-centred, because softmax ignores what a row shares; the shares of a head sum to 1, and one is negative "
    "where it works against the rest. Bars: {confidence} intervals over sentences. Stream: "
    "everything but position; L.H: what head H of layer L wrote.{rest}"
)


@drawn_from("attention_terms", "head_scores")
def term_shares(attention_terms: pd.DataFrame, head_scores: pd.DataFrame) -> Figure:
    """Draw, for every head, each term's share; for the best induction head, every pair of sources.

    Args:
        attention_terms: ATTENTION_TERMS of one experiment.
        head_scores: HEAD_SCORES of the same, to choose the induction head by.
    """
    shares = without_begin(first_seed(attention_terms))
    shares = shares[(shares["statistic"] == "share") & (shares["component"] == "all")]
    if shares.empty:
        return sentence(TITLE, "The scores of this experiment's heads were not taken apart.")
    layers, heads = sorted(shares["layer"].unique()), shares["head"].nunique()
    columns = min(len(layers), 4)
    rows = -(-len(layers) // columns)
    height = rows * (0.36 * heads + 1.1)
    best = leading_head(head_scores, "induction")
    pairs = _by_source(of_head(shares, best[0])) if best is not None else shares.iloc[:0]
    sources = pairs["query_source"].nunique()
    grid_height = 0.3 * sources + 1.3 if sources else 0
    caption = CAPTION.format(confidence=confidence_of(shares), rest=rest_alone(shares))
    figure = new(TITLE, caption, max(4.5 * columns, 9), height + grid_height + 1.1)
    upper, lower = figure, None
    if sources:
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[height, grid_height])[:, 0]
    grid = upper.subplots(rows, columns, squeeze=False, sharex=True)
    for axes, layer in zip(grid.flat, layers, strict=False):
        _layer(axes, shares[shares["layer"] == layer], layer)
    for axes in grid.flat[len(layers) :]:
        axes.set_axis_off()
    if lower is not None and best is not None:
        _pairs(lower, pairs, best[0])
    return figure


def _layer(axes: Axes, shares: pd.DataFrame, layer: int) -> None:
    """One row a head, one dot a term of the notebooks' grouping."""
    heads = sorted(shares["head"].unique())
    axes.axvline(0, color=GREY, linewidth=0.6)
    axes.axvline(1, color=LIGHT, linewidth=0.6)
    for place, ((pair, term), colour) in enumerate(zip(four_terms_of(shares).items(), COLOURS, strict=False)):
        y = [heads.index(head) + 0.18 * (place - 1.5) for head in term["head"]]
        # Resampling can leave the value itself just outside its interval.
        below, above = (term["value"] - term["lo"]).clip(lower=0), (term["hi"] - term["value"]).clip(lower=0)
        dots = {"fmt": "o", "markersize": 3.5, "elinewidth": 1.2, "color": colour}
        axes.errorbar(term["value"], y, xerr=[below, above], label=pair, **dots)
    if layer < 2:  # from layer 1 on the terms' names stay the same
        where = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1}
        axes.legend(ncols=2, fontsize=7, title="query-key", title_fontsize=7, columnspacing=1, **where)
    for row in heads[1:]:
        axes.axhline(heads.index(row) - 0.5, color=LIGHT, linewidth=0.6)
    axes.set_yticks(range(len(heads)), [name((layer, head)) for head in heads])
    axes.set(
        ylim=(len(heads) - 0.5, -0.5),
        title=f"layer {layer}",
        xlabel="share of score variance",
        ylabel="head (layer.head)",
    )


def _by_source(shares: pd.DataFrame) -> pd.DataFrame:
    """Keep the finest split: every source by itself, neither grouped nor summed."""
    coarse = ["stream", "total"]
    return shares[~shares["query_source"].isin(coarse) & ~shares["key_source"].isin(coarse)]


def _pairs(figure: SubFigure, pairs: pd.DataFrame, head: Head) -> None:
    order = sorted(pairs["query_source"].unique(), key=_place)
    matrix = pivot(pairs, "query_source", "key_source", "value", order, order)
    axes = figure.subplots()
    image = heat_map(axes, matrix, order, order, SCORES, CenteredNorm(0), "z.2f")
    axes.set_title(f"Head {name(head)}, the best induction head: every pair of sources")
    axes.set(xlabel="what fed the key", ylabel="what fed the query")
    figure.colorbar(image, ax=axes, label="share of score variance", aspect=25)


def _place(source: str) -> tuple[int, list[int], str]:
    """Sort key: token, position, then what earlier layers wrote, layer by layer; constants last."""
    rank = {"token": 0, "position": 1, "bias": 3}.get(source, 2)
    return rank, [int(number) for number in re.findall(r"\d+", source)], source
