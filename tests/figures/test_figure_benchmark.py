import pandas as pd

from pipeline.figures.benchmark import benchmark

SIZES = [100, 1000, 10_000, 50_257]


def rows():
    shared = {"r": 64, "threads": 2, "processor": "a processor", "precision": "float32"}
    frame = pd.DataFrame(
        [
            {
                "what": what,
                "V": V,
                "k": k,
                "seconds": V / 1e5,
                "baseline_seconds": V**2 / 1e9 * (1 + 9 * (what != "decaying")),
            }
            for V in SIZES
            for what, k in (("decaying", 100), ("decaying", 1000), ("notebook_recipe", 100), ("isotropic", 100))
        ]
    ).assign(**shared)
    for name in ("", "baseline_"):
        frame[f"{name}lo"], frame[f"{name}hi"] = 0.9 * frame[f"{name}seconds"], 1.1 * frame[f"{name}seconds"]
    return frame


def test_three_ways_over_four_sizes():
    axes = benchmark(rows()).axes[0]
    ours, tiles, recipe = axes.lines
    for line in (ours, tiles, recipe):
        assert list(line.get_xdata()) == SIZES
    assert list(ours.get_ydata()) == [V / 1e5 for V in SIZES]
    assert list(recipe.get_ydata()) == [10 * value for value in tiles.get_ydata()]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["exact search, 100 pairs at each end", "dense tiles, nothing selected", "notebook's recipe"]


def test_without_timings_a_sentence_says_so():
    assert benchmark(rows().iloc[:0]).axes == []
