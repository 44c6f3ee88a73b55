"""Which heads of one layer read what heads of an earlier one wrote."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import heat_map, pivot
from pipeline.figures.heads import first_seed
from pipeline.figures.style import PROBABILITIES, SCORES, new, sentence

TITLE = "Which later heads read what earlier heads write"
CAPTION = (
    "First seed, from the weights alone. Q, K, V composition: size of the product of the writer's output circuit with "
    "what the reader's queries, keys or values take in, over the product of both sizes (Frobenius norms); white is "
    "what independent random weights give, 1/sqrt(d_model). K circuit: share of tokens which, as the query, score "
    "highest on keys whose previous token the writer copied from the same token: what an induction head needs."
)
READS = {
    "Q_composition": "queries (Q composition)",
    "K_composition": "keys (K composition)",
    "V_composition": "values (V composition)",
}


@drawn_from("head_pairs")
def composition(head_pairs: pd.DataFrame) -> Figure:
    """Draw Q, K and V composition and the K circuit as [writer, reader].

    Args:
        head_pairs: HEAD_PAIRS of one experiment.
    """
    pairs = first_seed(head_pairs)
    pairs = pairs.assign(
        writer=pairs["src_layer"].astype(str) + "." + pairs["src_head"].astype(str),
        reader=pairs["dst_layer"].astype(str) + "." + pairs["dst_head"].astype(str),
    )
    composed = pairs[pairs["definition"] == "frobenius"].dropna(subset="value")
    if composed.empty:
        return sentence(TITLE, "This model has a single layer, so no head can read what another one wrote.")
    writers, readers = _heads(composed, "writer", "src"), _heads(composed, "reader", "dst")
    width, height = 0.36 * len(readers) + 1.6, max(0.24 * len(writers) + 1.1, 2.2)
    figure = new(TITLE, CAPTION, min(max(2 * width, 8), 20), min(2 * height + 1.1, 16))
    grid = figure.subplots(2, 2)
    chance, largest = composed["chance"].mean(), composed["value"].max()
    norm = TwoSlopeNorm(chance, min(0, 2 * chance - largest), max(largest, 1.01 * chance))
    numbers = ".2f" if len(readers) <= 16 else ""
    for axes, (metric, words) in zip(grid.flat, READS.items(), strict=False):
        rows = composed[composed["metric"] == metric]
        matrix = pivot(rows, "writer", "reader", "value", writers, readers)
        image = heat_map(axes, matrix, writers, readers, SCORES, norm, numbers)
        axes.set_title(f"through the reader's {words}")
    bar = figure.colorbar(image, ax=grid[0, :], label=f"composition; chance {chance:.2g}", aspect=15)
    bar.ax.set_ylim(0, None)  # colours are symmetric around chance, but a ratio of sizes has no negative values
    figure.colorbar(
        _k_circuit(grid[1, 1], pairs, writers, readers, numbers), ax=grid[1, :], label="share of tokens", aspect=15
    )
    for axes in grid.flat:
        axes.set(xlabel="reader (layer.head)", ylabel="writer (layer.head)")
    return figure


def _k_circuit(axes: Axes, pairs: pd.DataFrame, writers: list[str], readers: list[str], numbers: str):
    rows = pairs[(pairs["metric"] == "K_circuit") & (pairs["definition"] == "top1_keys")]
    matrix = pivot(rows, "writer", "reader", "value", writers, readers)
    axes.set_title("K circuit: a token's best key follows the same token")
    return heat_map(axes, matrix, writers, readers, PROBABILITIES, Normalize(0, 1), numbers)


def _heads(pairs: pd.DataFrame, column: str, side: str) -> list[str]:
    return list(pairs.sort_values([f"{side}_layer", f"{side}_head"])[column].unique())
