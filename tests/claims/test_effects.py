import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.claims.effects import effects, false_discovery
from pipeline.claims.intervals import intervals
from pipeline.claims.measures import measures, role_heads
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.effects import EFFECTS, INTERVALS

SEEDS, SENTENCES, HEADS, PERIODS = (0, 1, 2), 6, 3, (37, 53)
PREVIOUS, INDUCTION = 0.9, 0.8


def study(shift=0.0, probe="same", seeds=SEEDS, noise=0.0):
    """base, and other: the induction head of other attends `shift` more; heads have other numbers in each run."""
    tables = {name: [] for name in ("head_scores", "head_pairs", "sentence_scores", "loss_by_position", "runs")}
    for experiment, more in (("base", 0.0), ("other", shift)):
        for seed in seeds:
            run = {"experiment": experiment, "seed": seed}
            leading = (seed + (experiment == "other")) % HEADS
            by_seed = noise * (math.sin(seed + 1) + more * math.cos(3 * seed))
            found = list(_pattern_scores(leading, more, by_seed))
            tables["sentence_scores"] += [run | row for row in found]
            for names, rows in pd.DataFrame(found).groupby(NAMES, dropna=False):
                value = np.average(rows["value"], weights=rows["weight"])
                tables["head_scores"].append(run | dict(zip(NAMES, names, strict=True)) | {"value": value})
            weights = {"metric": "copying", "definition": "eigenvalue", "eval_set": "weights", "period": None}
            copying = {head: 0.5 if head == leading else 0.0 for head in range(HEADS)}
            for head, value in copying.items():
                row = run | {"layer": 1, "head": head} | weights | {"value": value + by_seed}
                tables["head_scores"].append(row)
            for head in range(HEADS):
                pair = {"src_layer": 0, "src_head": head, "dst_layer": 1, "dst_head": leading}
                pair |= {"metric": "K_composition", "definition": "frobenius", "eval_set": "weights"}
                value = 0.3 if head == leading else 0.1
                tables["head_pairs"].append(run | pair | {"value": value})
            tables["loss_by_position"] += [run | row for row in _losses(more)]
            tables["runs"].append(run | {"stage": "probe", "id": "same" if experiment == "base" else probe})
            tables["runs"].append(run | {"stage": "train", "id": f"{experiment}{seed}"})
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


NAMES = ["layer", "head", "metric", "definition", "eval_set", "period"]


def _pattern_scores(leading, more, by_seed):
    """Sentences alternate about the score, and count 1 and 3 in turn."""
    for metric, eval_set, periods, level in (
        ("previous_token", "text", (None,), PREVIOUS),
        ("induction", "repeated_tokens", PERIODS, INDUCTION + more),
    ):
        layer = 0 if metric == "previous_token" else 1
        for head in range(HEADS):
            for period in periods:
                for sentence in range(SENTENCES):
                    value = (level + by_seed if head == leading else 0.1) + 0.01 * (-1) ** sentence
                    value += 0.02 * (period == 53)
                    definition = "mean" if metric == "previous_token" else "mass"
                    names = dict(zip(NAMES, (layer, head, metric, definition, eval_set, period), strict=True))
                    yield names | {"sentence": sentence, "value": value, "weight": 1.0 + 2 * (sentence % 2)}


def _losses(more):
    for position in range(1, 21):
        for token_class, loss in (("first_copy", 3.0), ("second_copy", 1.0 - more)):
            row = {"eval_set": "repeated_text", "period": None, "position": position, "token_class": token_class}
            yield row | {"loss": loss, "n": 4}
        row = {"eval_set": "text", "period": None, "position": position, "token_class": "other"}
        yield row | {"loss": 4.0, "n": 4}


def compared(tables, **changes):
    settings = {"against": "base", "confidence": 0.95, "resamples": 500} | changes
    frame = effects(tables, **settings, generator=np.random.default_rng(0))
    return frame.set_index(["role", "metric", "definition", "eval_set"]).sort_index()


def test_roles_find_the_same_heads_whatever_their_numbers():
    heads = role_heads(study()["head_scores"])
    heads = heads[heads["role"] == "induction"].set_index(["experiment", "seed"])["head"]
    assert heads.to_dict() == {
        (experiment, seed): (seed + (experiment == "other")) % HEADS
        for experiment in ("base", "other")
        for seed in SEEDS
    }


def test_identical_experiments_do_not_differ():
    found = compared(study())
    assert (found["difference"].abs() < 1e-12).all()
    assert found.loc[("induction", "induction", "mass"), "value"].item() == pytest.approx(INDUCTION + 0.01 - 0.005)
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
    found = compared(study(shift=-0.4, noise=0.05), resamples=20_000).loc[
        "induction", "copying", "eigenvalue", "weights"
    ]
    expected = stats.ttest_1samp([0.05 * -0.4 * math.cos(3 * seed) for seed in SEEDS], 0)
    assert found["difference"] == pytest.approx(expected.statistic * _standard_error())
    assert found["p"] == pytest.approx(expected.pvalue, rel=0.05)


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


def test_sentences_a_score_is_made_of_replace_the_score():
    parts = measures(study())
    rows = parts[(parts["metric"] == "induction") & (parts["experiment"] == "base") & (parts["seed"] == 0)]
    assert len(rows) == len(PERIODS) * SENTENCES
    assert rows["weight"].to_list() == [1.0, 3.0] * (len(rows) // 2)


def test_the_table_is_as_declared_and_has_equal_bytes(tmp_path):
    files = Paths([tmp_path / "effects.parquet"])
    contents = []
    for _ in range(2):
        write(EFFECTS, compared(study(shift=-0.4, noise=0.05)).reset_index(), files)
        contents.append(files.file("effects.parquet").read_bytes())
    assert contents[0] == contents[1]
    alone = {name: rows[rows["experiment"] == "base"] for name, rows in study().items()}
    write(EFFECTS, compared(alone).reset_index(), files)


def test_an_experiments_own_interval_is_over_its_seeds(tmp_path):
    found = intervals(study(shift=-0.4, noise=0.05), 0.95, 20_000, np.random.default_rng(0))
    write(INTERVALS, found, Paths([tmp_path / "intervals.parquet"]))
    assert set(found["experiment"]) == {"base", "other"}
    row = found.set_index(["experiment", "metric"]).loc["base", "copying"]
    values = [0.5 + 0.05 * math.sin(seed + 1) for seed in SEEDS]
    assert row["value"] == pytest.approx(np.mean(values))
    half = 4.3027 * np.std(values, ddof=1) / math.sqrt(3)  # Student's t, two degrees of freedom
    assert (row["hi"] - row["lo"]) / 2 == pytest.approx(half, rel=0.05)
    gain = found.set_index(["experiment", "metric"]).loc["other", "second_copy_gain"]
    assert gain["value"] == pytest.approx(1.6)


def test_false_discoveries_are_counted_among_what_was_tested():
    p = pd.Series([0.01, np.nan, 0.04, 0.03], index=[7, 8, 9, 10])
    # Benjamini and Hochberg: sorted, times 3 over rank, then the least from there on.
    assert false_discovery(p).to_dict() == pytest.approx({7: 0.03, 8: math.nan, 9: 0.04, 10: 0.04}, nan_ok=True)
