"""The scores of one head as a sum of terms, token by token: the notebooks' picture."""

import math

import numpy as np
import pandas as pd
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.figure import Figure, SubFigure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import causal, heat_map
from pipeline.figures.heads import first_seed, leading_heads, name, of_head
from pipeline.figures.style import PROBABILITIES, SCORES, SMALL, label, new, sentence
from pipeline.figures.terms import four_terms_of, total

TITLE = "Attention scores as a sum of terms: what fed the query and what fed the key"
CAPTION = (
    "Start of the demonstration sentence, first seed. Rows look, columns are looked at; a token cannot look ahead, so "
    "the upper triangle is blank. Scores are after the division by sqrt(d_head), each row minus its mean: softmax "
    "ignores what a whole row shares. All score maps of a head share one colour scale, cut at their 99th percentile. "
    "Stream: everything but position. Terms that a constant (bias) takes part in are in the sum, but have no map. "
    "Tokens by number: {tokens}."
)
ACROSS = 3  # maps
REST = " [BEGIN], where heads rest, is blank in score maps: rows are centred over the other keys. The pattern shows it."


@drawn_from("term_maps", "attention_terms", "head_scores", settings=("tokens",))
def four_terms(
    term_maps: pd.DataFrame, attention_terms: pd.DataFrame, head_scores: pd.DataFrame, tokens: int
) -> Figure:
    """Draw the four terms, their sum and the pattern, for the best previous-token and the best induction head.

    Args:
        term_maps: TERM_MAPS of one experiment.
        attention_terms: ATTENTION_TERMS of the same, which say whether there is [BEGIN].
        head_scores: HEAD_SCORES of the same.
        tokens: positions shown.
    """
    maps = first_seed(term_maps)
    maps = maps[(maps["query"] < tokens) & (maps["key"] < tokens)]
    heads = {head: role for head, role in leading_heads(head_scores).items() if not of_head(maps, head).empty}
    if not heads:
        return sentence(TITLE, "No head of this experiment was both scored and taken apart.")
    rows = 2 if "position" in set(maps["query_source"]) else 1
    first = int((attention_terms["keys"] == "no_begin").any())
    words = maps.drop_duplicates("query").sort_values("query")["query_token"]
    named = ", ".join(f"{place} {label(token)}" for place, token in enumerate(words))
    figure = new(TITLE, CAPTION.format(tokens=named) + REST * first, (1.2 * rows + 0.7) * len(heads))
    parts = figure.subfigures(len(heads), 1, squeeze=False)[:, 0]
    for part, (head, role) in zip(parts, heads.items(), strict=True):
        part.suptitle(f"Head {name(head)}: {role}", x=0.01, ha="left", fontsize=7.5)
        _head(part, of_head(maps, head), first)
    return figure


def _head(figure: SubFigure, maps: pd.DataFrame, first: int) -> None:
    size = int(maps["query"].max()) + 1
    whole = total(maps)
    tokens, map_size = [str(place) for place in range(size)], (0.85, 0.85)
    terms = {pair: _centred(rows, size, first) for pair, rows in four_terms_of(maps).items()}
    terms["sum of all terms"] = _centred(whole, size, first)
    side = math.isqrt(len(terms))  # 2 where there are positions, else 1
    grid = figure.subplots(side, ACROSS, squeeze=False, sharex=True, sharey=True)
    # The terms fill the first columns, query source by key source; what they add up to stands at the right.
    places = [*grid[:, :side].flat, grid[0, side]]
    norm = CenteredNorm(0, np.nanpercentile(np.abs(list(terms.values())), 99) or 1)
    for axes, (pair, matrix) in zip(places, terms.items(), strict=True):
        scores = heat_map(axes, matrix, tokens, tokens, SCORES, norm, map_size)
        axes.set_title(pair, fontsize=SMALL)
    attention = causal(whole, "pattern", size)
    pattern = heat_map(grid[-1, 2], attention, tokens, tokens, PROBABILITIES, Normalize(0, 1), map_size)
    grid[-1, 2].set_title("pattern (softmax)", fontsize=SMALL)
    for axes in grid.flat:
        axes.set_aspect("equal")
    for axes in grid[:, 0]:
        axes.set_ylabel("query")
    for axes in grid[-1]:
        axes.set_xlabel("key")
    ends = {"location": "bottom", "aspect": 20}
    figure.colorbar(scores, ax=grid[:, :2], label="score, row-centred", extend="both", **ends)
    figure.colorbar(pattern, ax=grid[:, 2], label="attention", ticks=[0, 1], **ends)


def _centred(term: pd.DataFrame, size: int, first: int) -> np.ndarray:
    """Return scores less their row's mean; NaN before the first position that counts, as above the diagonal."""
    matrix, rest = np.full((size, size), np.nan), causal(term, "score", size)[first:, first:]
    matrix[first:, first:] = rest - np.nanmean(rest, axis=1, keepdims=True)
    return matrix
