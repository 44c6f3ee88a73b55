import numpy as np
import pytest

from pipeline.figures.known_answers import known_answers as draw


def test_the_largest_error_stands_for_a_metric(known_answers):
    _, errors = draw(known_answers).axes
    (image,) = errors.get_images()
    models, metrics = (
        [label.get_text() for label in labels] for labels in (errors.get_yticklabels(), errors.get_xticklabels())
    )
    found = np.asarray(image.get_array().filled(np.nan))[models.index("copy")]
    assert found[metrics.index("copying")] == pytest.approx(-3)
    assert found[metrics.index("loss")] == -9


def test_only_known_scores_of_the_induction_head_are_drawn(known_answers):
    definitions, _ = draw(known_answers).axes
    assert [label.get_text() for label in definitions.get_yticklabels()] == ["copying top1"]
