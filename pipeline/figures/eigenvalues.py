"""Does a head's circuit map tokens to themselves? Its eigenvalues in the complex plane."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from pipeline.figures.drawing import drawn_from
from pipeline.figures.heads import first_seed, listed_heads, name, of_head
from pipeline.figures.style import BLUE, LIGHT, ORANGE, SMALL, keyed, sentence

TITLE = "Eigenvalues of every head's token-to-token circuits"
CAPTION = (
    "First seed. Each panel is the complex plane, scaled so that the circuit's largest eigenvalue lies on the circle. "
    "In the titles: sum of the eigenvalues over the sum of their sizes, chance 0. OV +1: attended tokens raise their "
    "own logits (copying), -1: they lower them. QK +1: a token attends to itself."
)
COLOURS = {"OV": (BLUE, "o"), "QK": (ORANGE, "x")}
COLUMNS = 5


@drawn_from("spectra")
def eigenvalues(spectra: pd.DataFrame) -> Figure:
    """Draw the eigenvalues of the OV and the QK circuit of every head, with the copying score.

    Args:
        spectra: SPECTRA of one experiment.
    """
    spectra = first_seed(spectra)
    if spectra.empty:
        return sentence(TITLE, "No circuit's eigenvalues were computed in this experiment.")
    largest = spectra.assign(size=np.hypot(spectra["real"], spectra["imaginary"]))
    heads, others = listed_heads(largest[largest["circuit"] == "OV"], "size", "eigenvalues of OV")
    rows = -(-len(heads) // COLUMNS)
    figure, drawn, keys = keyed(TITLE, CAPTION + others, 1.05 * rows, 1)
    grid = drawn.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat[len(heads) :]:
        axes.remove()
    for axes, head in zip(grid.flat, heads, strict=False):
        _plane(axes, of_head(spectra, head), name(head))
    handles, texts = grid.flat[0].get_legend_handles_labels()
    keys.legend(handles, texts, loc="upper left", ncols=2)
    return figure


def eigenvalue_score(circuit: pd.DataFrame) -> float:
    """Return the real part of the eigenvalues' sum over the sum of their sizes: -1 to 1, NaN for zeros."""
    sizes = np.hypot(circuit["real"], circuit["imaginary"]).sum()
    return circuit["real"].sum() / sizes if sizes else math.nan


def _plane(axes: Axes, spectra: pd.DataFrame, head: str) -> None:
    axes.axhline(0, color=LIGHT, linewidth=0.6, zorder=0)
    axes.axvline(0, color=LIGHT, linewidth=0.6, zorder=0)
    axes.add_patch(Circle((0, 0), 1, fill=False, color=LIGHT, linewidth=0.6))
    scores = []
    for circuit, (colour, marker) in COLOURS.items():
        rows = spectra[spectra["circuit"] == circuit]
        largest = np.hypot(rows["real"], rows["imaginary"]).max()
        points = rows[["real", "imaginary"]] / (largest or 1)
        axes.scatter(points["real"], points["imaginary"], s=5, c=colour, marker=marker, linewidths=0.6, label=circuit)
        scores.append(f"{circuit} {eigenvalue_score(rows):+.2f}")
    axes.set_title(f"{head}\n" + "\n".join(scores), fontsize=SMALL)
    axes.set(xlim=(-1.15, 1.15), ylim=(-1.15, 1.15), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
