import pandas as pd
import pytest
from matplotlib.figure import Figure

from pipeline.figures import style


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        pytest.param("Ġdog", "Ġdog", id="as given"),
        pytest.param(r"$\alpha_", r"\$\alpha_", id="no mathematics"),
        pytest.param("a\nb\x00", r"a\nb\x00", id="control characters escaped"),
        pytest.param("日", r"\u65e5", id="no glyph in the font"),
        pytest.param("abcdefghij", "abcdefg…", id="shortened to eight"),
    ],
)
def test_label(token, shown):
    assert style.label(token, most=8) == shown


@pytest.mark.parametrize("token", ["$x$", "$", r"\$$", "$$$", r"$\frac{$", "_^{}"])
def test_no_token_starts_mathematics(token, tmp_path):
    figure = Figure()
    text = figure.text(0, 0, style.label(token))
    style.save(figure, tmp_path / "figure.png", "png", 50)
    shown, mathematics = text._preprocess_math(text.get_text())
    assert (shown, mathematics) == (token, False)


def test_unknown_kind_of_file(tmp_path):
    with pytest.raises(ValueError, match=r"'gif'.*svg or \.png"):
        style.save(Figure(), tmp_path / "figure.gif", "gif", 50)


def test_captions_pile_up():
    figure = style.sentence("A title", "Below.")
    style.add_caption(figure, "Above.")
    assert figure.get_supxlabel() == "Above.\nBelow."


def test_long_captions_are_wrapped_and_the_figure_grows_by_their_lines():
    short, long = (style.sentence("A title", "word " * n) for n in (1, 100))
    lines = long.get_supxlabel().count("\n")
    assert lines > 2
    assert long.get_figheight() - short.get_figheight() == pytest.approx(lines * style.LINE)


def test_keys_have_a_place_of_their_own_below():
    figure, drawn, keys = style.keyed("A title", "Caption.", 2.0, 3)
    assert figure.subfigs == [drawn, keys]
    assert keys.bbox.height / drawn.bbox.height == pytest.approx((3 * style.KEY + 0.05) / 2)


@pytest.mark.parametrize(("share", "text"), [(0.95, "95 %"), (2 * 0.95 - 1, "90 %"), (0.999, "99.9 %")])
def test_shares_are_written_in_percent(share, text):
    assert style.percent(share) == text


def test_the_confidence_of_a_table_is_told_whatever_it_is():
    assert style.confidence_of(pd.DataFrame({"confidence": [0.9, 0.9]})) == "90 %"
    assert style.confidence_of(pd.DataFrame({"confidence": [0.95, 0.9]})) == "90 % and 95 %"


def test_distances_are_shown_as_far_as_lines_go():
    axes = Figure().subplots()
    axes.plot(range(30), range(30))
    axes.plot(range(12), range(12))
    style.by_distance(axes)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "10", "100", "1,000"]
    assert axes.get_xlim() == (-0.15, 29)
    zero, one, ten, hundred = axes.transData.transform([(place, 0) for place in (0, 1, 10, 100)])[:, 0]
    assert one - zero > 0.3 * (hundred - ten)
