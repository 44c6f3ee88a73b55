import pytest
from made_up_rows import options

from pipeline.circuits.causes.ablation import METHODS
from pipeline.circuits.causes.edges import INPUTS
from pipeline.tables.ablate import ABLATIONS
from pipeline.tables.judge.validity import FORETELLING, VALIDITY
from pipeline.tables.score import HEAD_SCORES

SCORE = {"experiment": "base", "metric": "induction", "definition": "mass", "eval_set": "repeated_tokens"}
PAIR = SCORE | {"effect": "zero", "effect_set": "text", "token_class": "all", "n": 3, "n_seeds": 1}


def test_effects_are_what_is_done_to_heads_and_to_pairs():
    assert options(VALIDITY, "effect") == {*METHODS, *(f"edge_{side}" for side in INPUTS)}
    assert options(VALIDITY, "effect_set") == options(ABLATIONS, "eval_set")
    assert options(VALIDITY, "eval_set") == options(HEAD_SCORES, "eval_set")


def test_both_statistics_of_a_pair_are_kept(kept, refusal):
    """Scores 1, 2, 3 beside effects 1, 3, 2, of which the largest alone is sure: ranks differ by 0, 1, 1."""
    spearman = 1 - 6 * (0 + 1 + 1) / (3 * (9 - 1))
    auroc = 1 / 2  # the head with an effect has the second score: above one of two others
    rows = [PAIR | {"statistic": "spearman", "value": spearman}, PAIR | {"statistic": "auroc", "value": auroc}]
    table = kept(VALIDITY, *rows)
    assert table["statistic"].tolist() == ["auroc", "spearman"]
    assert table["value"].tolist() == pytest.approx([0.5, 0.5])
    assert table[["lo", "hi"]].isna().all(axis=None)
    assert "two rows share the key" in refusal(VALIDITY, rows[0], rows[0])
    for name in ("value", "control", "control_hi"):
        assert refusal(VALIDITY, rows[0] | {name: -1.5}) == f"column {name}: -1.5 is below -1"


def test_a_choice_is_one_an_effect_and_statistic(kept, refusal):
    row = PAIR | {"unit": "pair", "effect": "edge_K", "statistic": "auroc", "value": 0.9, "chosen": 0.75, "scores": 4}
    assert len(kept(FORETELLING, row, row | {"statistic": "spearman"})) == 2
    assert "two rows share the key" in refusal(FORETELLING, row, row | {"metric": "copying"})
    assert refusal(FORETELLING, row | {"chosen": 1.5}) == "column chosen: 1.5 is above 1"
