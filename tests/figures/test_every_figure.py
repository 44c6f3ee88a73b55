"""What holds for every figure: it is declared once, survives empty tables, cuts nothing off, and tells the truth."""

import importlib
import itertools
import pkgutil
import warnings
from pathlib import Path

import pandas as pd
import pytest
from made_up import caption, drawn_texts

from pipeline import figures
from pipeline.figures.drawing import Drawing
from pipeline.figures.style import save
from pipeline.plumbing.artefacts import Paths, write
from pipeline.settings.figures import OF_A_STAGE, OF_A_STUDY, OF_AN_EXPERIMENT
from pipeline.settings.render import RenderSettings
from pipeline.tables.benchmark import BENCHMARK
from pipeline.tables.known_answers import DEFINITION_CURVES, DEFINITION_POWER, INJECTED_BUGS, KNOWN_ANSWERS
from pipeline.tables.registry import OF_A_RUN, OF_JUDGE
from pipeline.tables.timing import STAGES

COLUMN, OVER = 3.3, 2.0  # inches; pixels by which boxes around texts may overlap
LAYERS, HEADS = 2, 3  # of the made-up model
DECLARED = (*OF_AN_EXPERIMENT, *OF_A_STUDY, *OF_A_STAGE)
TABLES = {
    table.name: table
    for table in (
        *(table.with_run() for tables in OF_A_RUN.values() for table in tables),
        *(*OF_JUDGE, BENCHMARK, DEFINITION_POWER, DEFINITION_CURVES, INJECTED_BUGS, KNOWN_ANSWERS, STAGES),
    )
}
SHOW_INTERVALS = {
    *("claims", "effects", "validity", "emergence", "term_shares", "challenge_scores", "ablations", "set_ablations"),
    "role_coverage",
    "definition_power",
}


def drawing_of(name):
    return getattr(importlib.import_module(f"pipeline.figures.{name}"), name)


def drawn(name, tables):
    drawing = drawing_of(name)
    rows = [tables[table] for table in drawing.tables]
    rows = [frame[frame["experiment"] == "base"] if "experiment" in frame else frame for frame in rows]
    return drawing(*rows, *(5 for _ in drawing.settings))


def test_a_module_that_draws_is_declared_once_and_what_is_declared_draws():
    draws = {
        module.name
        for module in pkgutil.iter_modules(figures.__path__)
        if isinstance(getattr(importlib.import_module(f"pipeline.figures.{module.name}"), module.name, None), Drawing)
    }
    assert sorted(DECLARED) == sorted(draws)


@pytest.mark.parametrize("name", DECLARED)
def test_a_figure_is_drawn_from_tables_and_settings_that_there_are(name):
    drawing = drawing_of(name)
    assert set(drawing.tables) <= set(TABLES)
    assert set(drawing.settings) <= set(RenderSettings.model_fields)


@pytest.mark.parametrize("name", DECLARED)
def test_a_figure_has_a_test_of_its_own(name):
    assert (Path(__file__).parent / f"test_{name}.py").exists()


def test_made_up_tables_are_what_their_declarations_say(tables, tmp_path):
    for name, frame in tables.items():
        write(TABLES[name], frame.reindex(columns=TABLES[name].names), Paths([tmp_path / f"{name}.parquet"]))


def of_many_heads(tables):
    """The same of twelve layers of twelve heads: every head has copies."""
    copied = {}
    for name, frame in tables.items():
        numbers = [column for column in frame if column in ("layer", "head")]
        if len(numbers) == 2 and frame["layer"].notna().any() and name != "checkpoint_scores":
            steps = itertools.product(range(0, 12, LAYERS), range(0, 12, HEADS))
            parts = [frame.assign(layer=frame["layer"] + layer, head=frame["head"] + head) for layer, head in steps]
            frame = pd.concat(parts, ignore_index=True)
        copied[name] = frame
    return copied


def assert_readable(figure):
    """At one column nothing is cut off, no text is smaller than 6 points, and none lies over another."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layout that does not fit, a glyph that is missing
        texts = drawn_texts(figure)
    assert figure.get_suptitle()
    width, height = figure.get_size_inches()
    assert width == pytest.approx(COLUMN)
    used = figure.get_tightbbox()
    assert min(used.min) > -0.02
    assert used.max[0] < width + 0.02
    assert used.max[1] < height + 0.02
    assert min(text.get_fontsize() for text, _ in texts) >= 6
    for (text, place), (other, its) in itertools.combinations(texts, 2):
        across = min(place.x1, its.x1) - max(place.x0, its.x0)
        down = min(place.y1, its.y1) - max(place.y0, its.y0)
        assert min(across, down) <= OVER, f"{text.get_text()!r} over {other.get_text()!r}"


@pytest.mark.parametrize("name", DECLARED)
def test_everything_is_read_at_one_column(name, tables):
    assert_readable(drawn(name, tables))


@pytest.mark.parametrize("name", ["ablations", "contributions", "eigenvalues", "four_terms", "head_roles"])
def test_many_heads_are_read_at_one_column(name, tables):
    assert_readable(drawn(name, of_many_heads(tables)))


@pytest.mark.parametrize("name", ["head_scores", "offset_profiles", "role_coverage", "term_shares", "vocab_pairs"])
def test_of_more_heads_than_can_be_listed_the_caption_says_which_are(name, tables):
    figure = drawn(name, of_many_heads(tables))
    assert_readable(figure)
    assert ("Of 144 heads, the 24 with the largest" in caption(figure)) == (name not in ("head_scores", "vocab_pairs"))


@pytest.mark.parametrize("name", DECLARED)
def test_without_rows_a_sentence_says_why(name, tables):
    figure = drawn(name, {table: frame.iloc[:0] for table, frame in tables.items()})
    assert figure.axes == []
    assert figure.get_supxlabel().endswith(".")


@pytest.mark.parametrize("name", DECLARED)
def test_a_caption_tells_the_confidence_of_the_tables_and_no_other(name, tables):
    text = caption(drawn(name, tables))
    assert "95 %" not in text
    assert "{" not in text
    assert ("90 %" in text) == (name in SHOW_INTERVALS)


@pytest.mark.parametrize("kind", ["svg", "png"])
@pytest.mark.parametrize("name", ["training_curve", "virtual_heads", "claims"])
def test_same_table_same_bytes(name, kind, tables, tmp_path):
    paths = [tmp_path / "first", tmp_path / "second"]
    for path in paths:
        save(drawn(name, tables), path, kind, 60)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert b"Date" not in first
    assert b"date>" not in first
