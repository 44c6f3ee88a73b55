import json

import pandas as pd
import pytest

from pipeline.figures.head_scores import head_scores
from pipeline.plumbing.artefacts import Paths, write
from pipeline.render import TABLES, drawing_of, rows_of, run
from pipeline.settings.figures import OF_A_STUDY, OF_AN_EXPERIMENT
from pipeline.settings.render import RenderSettings
from pipeline.tables.summarise import RUNS

SETTINGS = RenderSettings(threads=1, dpi=50, tokens=8, questions=(("base", "Why?"),))


@pytest.fixture
def study(tmp_path):
    """A study of one run whose tables are empty."""
    paths = Paths([tmp_path / f"{name}.parquet" for name in (*TABLES, "runs")])
    for table in TABLES.values():
        write(table, pd.DataFrame(columns=[column.name for column in table.columns]), paths)
    run = {"experiment": "base", "seed": 0, "stage": "score", "id": "0", "settings": "{}"}
    write(RUNS, pd.DataFrame([run]), paths)
    return paths


def asked(tmp_path, *names):
    return Paths([tmp_path / "figures" / name for name in names])


def test_writes_what_is_asked_for_and_nothing_else(study, tmp_path):
    outputs = asked(tmp_path, "base/four_terms.svg", "base/four_terms.png", "claims.svg")
    run(SETTINGS, study, outputs)
    records = [tmp_path / "figures" / folder / "figures.made.json" for folder in ("", "base")]
    there = sorted(path for path in (tmp_path / "figures").rglob("*") if path.is_file())
    assert there == sorted([*outputs.files, *records])
    assert [sorted(json.loads(path.read_text())["sha256"]) for path in records] == [
        ["claims.svg"],
        ["four_terms.png", "four_terms.svg"],
    ]
    assert outputs.files[0].read_bytes().startswith(b"<?xml")
    assert outputs.files[1].read_bytes().startswith(b"\x89PNG")


def test_a_second_time_the_same_bytes(study, tmp_path):
    outputs = asked(tmp_path, "base/head_scores.svg", "comparison.png")
    contents = []
    for _ in range(2):
        run(SETTINGS, study, outputs)
        contents.append([path.read_bytes() for path in outputs.files])
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("base/nonsense.svg", r"nonsense: no such figure of an experiment \(base\); choose from four_terms, "),
        ("four_terms.svg", "four_terms: no such figure of a study; choose from claims, comparison, effects$"),
        ("base/four_terms.gif", "'gif'"),
    ],
)
def test_what_cannot_be_drawn(study, tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        run(SETTINGS, study, asked(tmp_path, name))
    assert not (tmp_path / "figures" / name).exists()


def test_by_hand_everything_is_drawn(study, tmp_path):
    class Folder(Paths):
        def file(self, name):
            self.files.append(tmp_path / name)
            return self.files[-1]

    run(SETTINGS, study, outputs := Folder([]))
    assert len(outputs.files) == len(OF_AN_EXPERIMENT) + len(OF_A_STUDY)
    assert all(path.exists() for path in outputs.files)


def test_a_figure_sees_its_experiments_rows():
    table = pd.DataFrame({"experiment": ["base", "other"], "value": [1, 2]})
    assert rows_of(table, "base", ["other", "base"])["value"].tolist() == [1]


def test_a_studys_figure_sees_its_experiments_in_the_studys_order():
    table = pd.DataFrame({"experiment": ["base", "base", "other"], "value": [1, 2, 3]})
    assert rows_of(table, None, ["other", "base"])["value"].tolist() == [3, 1, 2]


def test_a_figure_is_found_by_its_name():
    assert drawing_of("base", "head_scores") is head_scores


@pytest.mark.parametrize("name", OF_AN_EXPERIMENT + OF_A_STUDY)
def test_the_tables_of_every_figure_are_there_to_read(name):
    drawing = drawing_of("base" if name in OF_AN_EXPERIMENT else None, name)
    assert set(drawing.tables) <= set(TABLES)
    assert set(drawing.settings) <= set(RenderSettings.model_fields)
