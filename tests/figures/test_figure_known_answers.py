import numpy as np
import pandas as pd
import pytest

from pipeline.figures.known_answers import known_answers
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.known_answers import KNOWN_ANSWERS


@pytest.fixture
def table(tmp_path):
    """Two models; the errors of `copy` are 1e-3 in copying and nothing in the loss."""
    head = {"head": 0, "eval_set": "weights", "tolerance": 1e-6, "passed": True}
    rows = [
        head
        | {"model": "copy", "layer": 0, "metric": "copying", "definition": "top1", "expected": 1.0, "measured": 0.999},
        head
        | {"model": "copy", "layer": 0, "metric": "copying", "definition": "top5", "expected": 1.0, "measured": 1.0},
        {"model": "copy", "metric": "loss", "definition": "mean", "eval_set": "text", "expected": 2.0, "measured": 2.0},
        head
        | {
            "model": "induction",
            "layer": 1,
            "metric": "copying",
            "definition": "top1",
            "expected": 1.0,
            "measured": 1.0,
        },
        head
        | {"model": "induction", "layer": 1, "metric": "copying", "definition": "diagonal_z", "reason": "undefined"},
    ]
    frame = pd.DataFrame(rows).reindex(columns=[column.name for column in KNOWN_ANSWERS.columns])
    frame["absolute_error"] = (frame["measured"] - frame["expected"]).abs()
    frame = frame.astype(dict.fromkeys(("layer", "head", "src_layer", "src_head", "period"), "Int64"))
    frame["passed"] = True
    write(KNOWN_ANSWERS, frame, Paths([tmp_path / "known_answers.parquet"]))  # it is what its declaration says
    return frame


def test_the_largest_error_stands_for_a_metric(table):
    _, errors = known_answers(table).axes
    (image,) = errors.get_images()
    models, metrics = (
        [label.get_text() for label in labels] for labels in (errors.get_yticklabels(), errors.get_xticklabels())
    )
    found = np.asarray(image.get_array().filled(np.nan))[models.index("copy")]
    assert found[metrics.index("copying")] == pytest.approx(-3)
    assert found[metrics.index("loss")] == -9


def test_only_known_scores_of_the_induction_head_are_drawn(table):
    definitions, _ = known_answers(table).axes
    assert [label.get_text() for label in definitions.get_yticklabels()] == ["copying top1"]


def test_without_answers_there_is_a_sentence(table):
    assert not known_answers(table.iloc[:0]).axes
