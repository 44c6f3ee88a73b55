import torch
from made_up_rows import options

from pipeline.models.challenges import Sizes, recipes
from pipeline.tables.challenge import CHALLENGE_SCORES

SCORE = {"challenge": "gap", "level": 4, "metric": "induction", "definition": "mass", "n": 8, "confidence": 0.95}


def test_every_challenge_that_is_drawn_has_a_name():
    drawn = recipes(Sizes(32, 4, [5], [16], [0]), torch.arange(40), torch.arange(2, 40), begin=0)
    assert options(CHALLENGE_SCORES, "challenge") == {recipe.challenge for recipe in drawn}


def test_the_model_as_a_whole_stands_before_its_heads(kept, refusal):
    """Two heads, and the loss of the model on what repeats."""
    heads = [SCORE | {"layer": 1, "head": head, "value": value} for head, value in ((2, 0.1), (0, 0.8))]
    model = SCORE | {"metric": "loss", "definition": "repeated", "value": 1.5}
    rows = kept(CHALLENGE_SCORES, *heads, model)
    assert rows["value"].tolist() == [1.5, 0.8, 0.1]
    assert rows["head"].isna().tolist() == [True, False, False]
    assert len(kept(CHALLENGE_SCORES, model, model | {"definition": "novel"})) == 2
    assert "two rows share the key" in refusal(CHALLENGE_SCORES, model, model)


def test_a_level_is_a_number_of_tokens_or_of_a_kind(kept, refusal):
    assert kept(CHALLENGE_SCORES, SCORE | {"challenge": "frequency", "level": 0})["level"].tolist() == [0]
    assert refusal(CHALLENGE_SCORES, SCORE | {"level": -1}) == "column level: -1 is below 0"
    assert refusal(CHALLENGE_SCORES, SCORE | {"n": 0}) == "column n: 0 is below 1"
