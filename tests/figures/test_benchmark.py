import pytest

from pipeline.figures.benchmark import benchmark as draw


def test_three_ways_over_four_sizes(benchmark):
    axes = draw(benchmark).axes[0]
    ours, tiles, recipe = axes.lines
    sizes = sorted(benchmark["V"].unique())
    for line in (ours, tiles, recipe):
        assert list(line.get_xdata()) == sizes
    assert list(ours.get_ydata()) == [V / 1e5 for V in sizes]
    assert list(recipe.get_ydata()) == [10 * value for value in tiles.get_ydata()]
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["exact search, 100 pairs at each end", "dense tiles, nothing selected", "notebook's recipe"]


def test_bands_reach_from_the_fastest_to_the_slowest(benchmark):
    bands = [band.get_paths()[0].get_extents() for band in draw(benchmark).axes[0].collections]
    assert (bands[0].ymin, bands[0].ymax) == pytest.approx((0.9 * 100 / 1e5, 1.1 * 50_257 / 1e5))
