"""Which sources a head's scores come from: shares of their variance."""

import re

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.figure import Figure, SubFigure

from pipeline.claims.keys import without_begin
from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot, room
from pipeline.figures.heads import Head, first_seed, leading_head, listed_heads, name, of_head
from pipeline.figures.style import GREY, LIGHT, LINE, SCORES, confidence_of, new, sentence
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
    best = leading_head(head_scores, "induction")
    heads, others = listed_heads(shares[shares["query_source"] != "total"], "value", "share of one term")
    layers = sorted({layer for layer, _ in heads})
    counts = [sum(layer == own for own, _ in heads) for layer in layers]
    height = 0.2 * len(heads) + 0.45 * len(layers) + 0.45
    pairs = _by_source(of_head(shares, best[0])) if best is not None else shares.iloc[:0]
    sources = pairs["query_source"].nunique()
    grid_height = 1.2 * LINE * sources + 1.1 if sources else 0
    caption = CAPTION.format(confidence=confidence_of(shares), rest=rest_alone(shares)) + others
    figure = new(TITLE, caption, height + grid_height)
    upper, lower = figure, None
    if sources:
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[height, grid_height])[:, 0]
    panels = upper.subplots(len(layers), 1, squeeze=False, sharex=True, height_ratios=counts)[:, 0]
    for axes, layer in zip(panels, layers, strict=True):
        numbers = [head for own, head in heads if own == layer]
        _layer(axes, shares[(shares["layer"] == layer) & shares["head"].isin(numbers)], layer)
        if layer in layers[:2]:  # from layer 1 on the terms' names stay the same
            where = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.1}
            axes.legend(ncols=2, title="query-key", **where)
    panels[-1].set_xlabel("share of score variance")
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
        dots = {"fmt": "o", "markersize": 2.5, "elinewidth": 1, "color": colour}
        axes.errorbar(term["value"], y, xerr=[below, above], label=pair, **dots)
    for row in heads[1:]:
        axes.axhline(heads.index(row) - 0.5, color=LIGHT, linewidth=0.6)
    axes.set_yticks(range(len(heads)), [name((layer, head)) for head in heads])
    axes.set(ylim=(len(heads) - 0.5, -0.5), title=f"layer {layer}")


def _by_source(shares: pd.DataFrame) -> pd.DataFrame:
    """Keep the finest split: every source by itself, neither grouped nor summed."""
    coarse = ["stream", "total"]
    return shares[~shares["query_source"].isin(coarse) & ~shares["key_source"].isin(coarse)]


def _pairs(figure: SubFigure, pairs: pd.DataFrame, head: Head) -> None:
    order = sorted(pairs["query_source"].unique(), key=_place)
    matrix = 100 * pivot(pairs, "query_source", "key_source", "value", order, order)
    axes = figure.subplots()
    image = heat_map(
        axes, matrix, order, order, SCORES, CenteredNorm(0), (room(order), 1.2 * LINE * len(order)), "z.0f"
    )
    axes.set_title(f"Head {name(head)}, the best induction head:\nevery pair of sources, % of score variance")
    axes.set(xlabel="what fed the key", ylabel="what fed the query")
    figure.colorbar(image, ax=axes, location="bottom", aspect=40)


def _place(source: str) -> tuple[int, list[int], str]:
    """Sort key: token, position, then what earlier layers wrote, layer by layer; constants last."""
    rank = {"token": 0, "position": 1, "bias": 3}.get(source, 2)
    return rank, [int(number) for number in re.findall(r"\d+", source)], source
