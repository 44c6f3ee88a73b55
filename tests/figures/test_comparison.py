import pandas as pd
from made_up import labels, of_base

from pipeline.figures.comparison import comparison as draw
from pipeline.figures.comparison import key_numbers


def test_key_numbers(head_scores, sentence_losses):
    numbers = key_numbers(head_scores, sentence_losses)
    assert len(numbers) == 4
    assert numbers.loc[("base", 0)].to_dict() == {"previous_token": 0.9, "induction": 0.9, "copying": 0.1, "gain": 2.0}


def test_comparison_has_a_dot_a_seed(head_scores, sentence_losses):
    axes = draw(head_scores, sentence_losses).axes
    assert len(axes) == 4
    assert labels(axes[0].get_yticklabels()) == ["base", "other"]
    dots = [line for line in axes[3].lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in dots] == [[2, 2], [2, 2]]


def test_comparison_keeps_a_row_for_a_model_whose_patterns_were_not_scored(head_scores, sentence_losses):
    other = head_scores[head_scores["metric"] == "copying"].assign(experiment="both ways")
    scores = pd.concat([of_base(head_scores), other])
    assert "both ways" in labels(draw(scores, of_base(sentence_losses)).axes[0].get_yticklabels())
    assert key_numbers(scores, of_base(sentence_losses)).loc["both ways", "induction"].isna().all()


def test_the_copying_shown_is_that_of_the_induction_head(head_scores, sentence_losses):
    copiers = head_scores["metric"] == "copying"
    best = copiers & (head_scores["layer"] == 1) & (head_scores["head"] == 2)
    head_scores.loc[copiers & ~best, "value"] = 1.0
    head_scores.loc[best, "value"] = -0.25
    assert set(key_numbers(head_scores, sentence_losses)["copying"]) == {-0.25}
