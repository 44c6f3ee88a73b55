import pytest
from made_up import caption, of_base

from pipeline.figures.ablations import ablations as draw


def test_only_sure_changes_are_written(ablations):
    novel, first, second = draw(of_base(ablations)).axes[:3]
    assert not novel.texts
    assert not first.texts
    written = {text.get_position(): text.get_text() for text in second.texts}
    assert written == dict.fromkeys([(column, 5) for column in range(4)], "1.00")  # head 1.2 stands last
    assert second.images[0].norm(0) == pytest.approx(0.5)  # white is 0


def test_on_held_out_text_with_copies_if_there_is_any(ablations):
    rows = of_base(ablations)
    assert "on held-out text with a copied segment;" in caption(draw(rows))
    assert "on random tokens that repeat;" in caption(draw(rows[rows["eval_set"] == "repeated_tokens"]))


def test_who_is_only_surer_is_told_how_sure(ablations):
    assert "the 90 % interval over sentences" in caption(draw(of_base(ablations)))
