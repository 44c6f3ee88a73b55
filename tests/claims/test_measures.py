import pytest
from measured_study import HEADS, PERIODS, SEEDS, SENTENCES, study

from pipeline.claims.measures import measures, role_heads

EARLY, LATE = (0.1, 0.2), (0.9, 1.0)


def test_roles_find_the_same_heads_whatever_their_numbers():
    heads = role_heads(study()["head_scores"])
    heads = heads[heads["role"] == "induction"].set_index(["experiment", "seed"])["head"]
    assert heads.to_dict() == {
        (experiment, seed): (seed + (experiment == "other")) % HEADS
        for experiment in ("base", "other")
        for seed in SEEDS
    }


def test_sentences_a_score_is_made_of_replace_the_score():
    parts = measures(study(), EARLY, LATE)
    rows = parts[(parts["metric"] == "induction") & (parts["experiment"] == "base") & (parts["seed"] == 0)]
    assert len(rows) == len(PERIODS) * SENTENCES
    assert rows["weight"].to_list() == [1.0, 3.0] * (len(rows) // 2)


def test_the_pair_is_of_the_best_heads():
    pair = measures(study(), EARLY, LATE).query("role == 'pair'")
    assert set(pair["value"]) == {0.3}
    assert len(pair) == 2 * len(SEEDS)


def test_losses_are_by_class_and_what_follows_from_them():
    model = measures(study(shift=-0.4), EARLY, LATE).query("role == 'model' and experiment == 'other' and seed == 0")
    values = model.set_index(["metric", "definition", "eval_set"])["value"]
    assert values.to_dict() == pytest.approx(
        {
            ("loss", "first_copy", "repeated_text"): 3.0,
            ("loss", "second_copy", "repeated_text"): 1.4,
            ("loss", "other", "text"): 4.0,
            ("second_copy_gain", "first_minus_second", "repeated_text"): 1.6,
            ("in_context_learning", "early_minus_late", "text"): 0.0,
        }
    )


def test_undefined_values_are_left_out():
    tables = study()
    copying = tables["head_scores"]["metric"] == "copying"
    tables["head_scores"].loc[copying, "value"] = None
    assert "copying" not in set(measures(tables, EARLY, LATE)["metric"])
