"""How the time to find a circuit's strongest pairs grows with the vocabulary, three ways."""

import pandas as pd
from matplotlib.figure import Figure

from pipeline.figures.drawing import drawn_from
from pipeline.figures.style import BLUE, GREY, RED, new, sentence

TITLE = "Time to find a circuit's strongest token pairs, against the size of the vocabulary"
CAPTION = (
    "Lines: medians over repeats; bands: fastest and slowest. The exact search lists both ends of one circuit with a "
    "decaying spectrum, from its factors. Dense tiles: the float32 product of the same factors alone, in tiles, with "
    "nothing selected. Notebook: the dense product over the width of the model, threshold, nonzero, sort."
)


@drawn_from("benchmark")
def benchmark(benchmark: pd.DataFrame) -> Figure:
    """Draw seconds against tokens, both on logarithmic axes.

    Args:
        benchmark: BENCHMARK.
    """
    decaying = benchmark[(benchmark["what"] == "decaying") & (benchmark["baseline"] == "bare_product")]
    if decaying.empty:
        return sentence(TITLE, "No circuit was timed.")
    usual = decaying.sort_values("V")["precision"].iloc[0]  # at the largest size, float32 is timed too
    first = decaying[(decaying["k"] == decaying["k"].min()) & (decaying["precision"] == usual)]
    recipe = benchmark[benchmark["what"] == "notebook_recipe"]
    figure = new(TITLE, CAPTION, 2.6)
    axes = figure.subplots()
    _line(axes, first, ("seconds", "lo", "hi"), BLUE, f"exact search, {first['k'].iloc[0]} pairs at each end")
    _line(axes, first, ("baseline_seconds", "baseline_lo", "baseline_hi"), GREY, "dense tiles, nothing selected")
    _line(axes, recipe, ("baseline_seconds", "baseline_lo", "baseline_hi"), RED, "notebook's recipe")
    axes.set(xscale="log", yscale="log", xlabel="tokens (log scale)", ylabel="seconds (log scale)")
    sizes = sorted(first["V"].unique())
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    threads, precision = first["threads"].iloc[0], first["precision"].iloc[0]
    axes.set_title(f"{first['processor'].iloc[0]},\n{threads} threads, scored in {precision}")
    axes.legend(loc="upper left")
    return figure


def _line(axes, rows: pd.DataFrame, names: tuple[str, str, str], colour: str, text: str) -> None:
    rows = rows.sort_values("V")
    median, low, high = (rows[name].to_numpy(float) for name in names)
    axes.plot(rows["V"], median, color=colour, marker="o", markersize=3, label=text)
    axes.fill_between(rows["V"], low, high, color=colour, alpha=0.2, linewidth=0)
