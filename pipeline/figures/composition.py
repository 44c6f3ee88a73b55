"""Which heads of one layer read what heads of an earlier one wrote."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from pipeline.figures.drawing import drawn_from
from pipeline.figures.grids import Size, heat_map, pivot, room
from pipeline.figures.heads import first_seed
from pipeline.figures.style import LINE, PROBABILITIES, SCORES, new, sentence

TITLE = "Which later heads read what earlier heads write"
CAPTION = (
    "First seed, from the weights alone. Q, K, V composition: size of the product of the writer's output circuit with "
    "what the reader's queries, keys or values take in, over the product of both sizes (Frobenius norms); white is "
    "what independent random weights give, 1/sqrt(d_model). K circuit: share of tokens which, as the query, score "
    "highest on keys whose previous token the writer copied from the same token: what an induction head needs."
)
READS = {
    "Q_composition": "the reader's queries (Q)",
    "K_composition": "the reader's keys (K)",
    "V_composition": "the reader's values (V)",
}
TALLEST = 2.0  # inches of a map, however many heads


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
    size = room(writers, 0.55), min(1.1 * LINE * len(writers), TALLEST)
    figure = new(TITLE, CAPTION, 4 * (size[1] + 0.25) + 0.6)
    panels = figure.subplots(4, 1, sharex=True)
    chance, largest = composed["chance"].mean(), composed["value"].max()
    norm = TwoSlopeNorm(chance, min(0, 2 * chance - largest), max(largest, 1.01 * chance))
    for axes, (metric, words) in zip(panels, READS.items(), strict=False):
        rows = composed[composed["metric"] == metric]
        matrix = pivot(rows, "writer", "reader", "value", writers, readers)
        image = heat_map(axes, matrix, writers, readers, SCORES, norm, size, ".2f")
        axes.set_title(f"composition through {words}")
    bar = figure.colorbar(image, ax=panels[:3], label=f"composition; chance {chance:.2g}", aspect=30)
    bar.ax.set_ylim(0, None)  # colours are symmetric around chance, but a ratio of sizes has no negative values
    circuit = _k_circuit(panels[3], pairs, writers, readers, size)
    figure.colorbar(circuit, ax=panels[3], label="of tokens", aspect=10, ticks=[0, 1])
    for axes in panels:
        axes.set_ylabel("writer")
    panels[3].set_xlabel("reader (layer.head)")
    return figure


def _k_circuit(axes: Axes, pairs: pd.DataFrame, writers: list[str], readers: list[str], size: Size) -> AxesImage:
    rows = pairs[(pairs["metric"] == "K_circuit") & (pairs["definition"] == "top1_keys")]
    matrix = pivot(rows, "writer", "reader", "value", writers, readers)
    axes.set_title("K circuit: share of tokens")
    return heat_map(axes, matrix, writers, readers, PROBABILITIES, Normalize(0, 1), size, ".2f")


def _heads(pairs: pd.DataFrame, column: str, side: str) -> list[str]:
    return list(pairs.sort_values([f"{side}_layer", f"{side}_head"])[column].unique())
