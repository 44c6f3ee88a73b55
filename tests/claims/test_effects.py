import math

import numpy as np
import pytest
from measured_study import INDUCTION, SEEDS, study
from scipy import stats

from pipeline.claims.effects import effects
from pipeline.claims.measures import measures
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.effects import EFFECTS


def compared(tables, confidence=0.95):
    measured = measures(tables, (0.1, 0.2), (0.9, 1.0))
    frame = effects(measured, tables["runs"], "base", confidence)
    return frame.set_index(["role", "metric", "definition", "eval_set"]).sort_index()


def test_identical_experiments_do_not_differ():
    found = compared(study())
    assert (found["difference"].abs() < 1e-12).all()
    assert found.loc[("induction", "induction", "mass"), "value"].item() == pytest.approx(INDUCTION + 0.01 - 0.01)
    exact = compared(study(noise=0.05))
    assert (exact["p"] == 1).all()
    assert (exact["q"] == 1).all()
    assert exact["paired"].all()


def test_every_kind_of_measure_is_compared():
    found = compared(study())
    assert set(found.reset_index("eval_set").fillna({"eval_set": "none"}).set_index("eval_set", append=True).index) == {
        ("previous_token", "previous_token", "mean", "text"),
        ("induction", "induction", "mass", "repeated_tokens"),
        ("induction", "copying", "eigenvalue", "weights"),
        ("pair", "K_composition", "frobenius", "weights"),
        ("model", "loss", "first_copy", "repeated_text"),
        ("model", "loss", "second_copy", "repeated_text"),
        ("model", "loss", "other", "text"),
        ("model", "second_copy_gain", "first_minus_second", "repeated_text"),
        ("model", "in_context_learning", "early_minus_late", "text"),
    }
    assert found.loc[("pair", "K_composition", "frobenius"), "value"].item() == pytest.approx(0.3)


def test_a_shift_is_found_where_it_is_and_nowhere_else():
    found = compared(study(shift=-0.4, noise=0.02))
    induction = found.loc["induction", "induction", "mass", "repeated_tokens"]
    assert induction["hi"] < 0
    assert induction["lo"] < induction["difference"] < induction["hi"]
    assert induction["p"] <= induction["q"] < 0.05
    gain = found.loc["model", "second_copy_gain", "first_minus_second", "repeated_text"]
    assert gain["difference"] == pytest.approx(-0.4)
    assert found.loc[("previous_token", "previous_token", "mean", "text"), "lo"] <= 0


def test_the_difference_of_scores_without_sentences_is_the_t_tests():
    found = compared(study(shift=-0.4, noise=0.05)).loc["induction", "copying", "eigenvalue", "weights"]
    expected = stats.ttest_1samp([0.05 * -0.4 * math.cos(3 * seed) for seed in SEEDS], 0)
    assert found["difference"] == pytest.approx(expected.statistic * _standard_error())
    assert found["p"] == pytest.approx(expected.pvalue)


def _standard_error():
    values = [0.05 * -0.4 * math.cos(3 * seed) for seed in SEEDS]
    return np.std(values, ddof=1) / math.sqrt(len(values))


def test_other_sentences_mean_other_training_text_and_no_pairs():
    found = compared(study(probe="other", noise=0.05))
    assert not found["paired"].any()
    previous = found.loc["previous_token", "previous_token", "mean", "text"]
    assert previous["difference"] == pytest.approx(0)
    assert previous["hi"] > 0.01  # pairs would have been equal


def test_one_seed_gives_a_difference_and_no_interval():
    found = compared(study(shift=-0.4, seeds=(0,)))
    assert found.loc[("induction", "induction", "mass"), "difference"].item() == pytest.approx(-0.4)
    assert found[["lo", "hi", "p", "q"]].isna().all(axis=None)
    assert (found["n_seeds"] == 1).all()


def test_only_seeds_that_both_have_are_pairs():
    tables = study(shift=-0.4, noise=0.05)
    tables = {
        name: rows[~((rows["experiment"] == "other") & (rows["seed"] == 2))].reset_index(drop=True)
        for name, rows in tables.items()
    }
    found = compared(tables)
    assert (found["n_seeds"] == 2).all()
    assert found["paired"].all()


def test_a_measure_that_only_one_experiment_has_is_not_compared():
    tables = study()
    pairs = tables["head_pairs"]
    tables["head_pairs"] = pairs[pairs["experiment"] == "base"]
    assert "pair" not in compared(tables).index.get_level_values("role")


def test_the_table_is_as_declared_and_has_equal_bytes(tmp_path):
    files = Paths([tmp_path / "effects.parquet"])
    contents = []
    for _ in range(2):
        write(EFFECTS, noted(compared(study(shift=-0.4, noise=0.05))), files)
        contents.append(files.file("effects.parquet").read_bytes())
    assert contents[0] == contents[1]
    alone = {name: rows[rows["experiment"] == "base"] for name, rows in study().items()}
    write(EFFECTS, noted(compared(alone)), files)


def noted(frame):
    """As the stage writes it."""
    return frame.reset_index().assign(confidence=0.95, significance=0.05)


def test_less_confidence_makes_shorter_intervals_by_students_t():
    """From the same draws: of three pairs the ends lie t(0.975, 2) or t(0.75, 2) standard errors away."""
    tables = study(shift=-0.4, noise=0.05)
    row = ("induction", "copying", "eigenvalue", "weights")
    lengths = [compared(tables, confidence=share).loc[row, ["lo", "hi"]].diff().iloc[-1] for share in (0.95, 0.5)]
    assert lengths[0] / lengths[1] == pytest.approx(stats.t.ppf(0.975, 2) / stats.t.ppf(0.75, 2))


def test_q_is_over_the_measures_of_one_experiment():
    found = compared(study(shift=-0.4, noise=0.02))
    p, q = (found[name].dropna().sort_values() for name in ("p", "q"))
    assert q.iloc[-1] == pytest.approx(p.iloc[-1])  # the largest of all is not corrected
    assert (found["q"] >= found["p"]).sum() == len(p)
