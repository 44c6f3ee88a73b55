from itertools import product

import numpy as np
import pandas as pd
import pytest

from pipeline.claims.foretelling import foretelling
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.tables.judge.validity import FORETELLING

UNITS = ["experiment", "seed", "src_layer", "src_head", "dst_layer", "dst_head"]
SEEDS = range(4)


def pairs(seeds=SEEDS):
    """Effects in random order, half of them sure."""
    rows = pd.DataFrame(
        [("base", seed, 0, a, 1, b) for seed, a, b in product(seeds, range(5), range(5))], columns=UNITS
    )
    size = np.concatenate([np.random.default_rng(seed).permutation(25) for seed in seeds])
    return rows.assign(difference=size / 25, lo=size - 12.5)


def chosen(rows, confidence=0.95, **by_definition):
    named = {"metric": "K_composition", "eval_set": "weights"}
    scores = pd.concat([rows.assign(definition=name, value=value, **named) for name, value in by_definition.items()])
    edges = rows.assign(kind="K", eval_set="text", token_class="all")
    nothing = pd.DataFrame(columns=["experiment", "seed", "layer", "head", "method", *named, "definition", "value"])
    ablations = nothing.assign(difference=None, lo=None, token_class=None)
    return foretelling(nothing, ablations, scores, edges, resamples=60, confidence=confidence, seed=0)


def test_the_score_that_tells_all_is_chosen_in_every_run():
    rows = pairs()
    noise = np.random.default_rng(1).normal(size=len(rows))
    found = chosen(rows, noise=noise, same=rows["difference"] ** 3, near=rows["difference"] + 0.3 * noise)
    assert found["definition"].tolist() == ["same", "same"]
    assert found[["value", "chosen"]].to_numpy() == pytest.approx(1)
    assert set(found["statistic"]) == {"spearman", "auroc"}
    assert set(found["effect"]) == {"edge_K"}
    assert found[["scores", "n", "n_seeds"]].drop_duplicates().to_numpy().tolist() == [[3, 100, 4]]


def test_the_best_of_many_random_scores_is_at_chance_where_it_was_not_chosen():
    rows = pairs()
    random = {f"score {place}": np.random.default_rng(place).normal(size=len(rows)) for place in range(200)}
    found = chosen(rows, **random).set_index("statistic")
    # In one run of 25 pairs the rank correlation has a deviation of 1 / sqrt(24): a mean of four, of half that.
    assert abs(found.loc["spearman", "value"]) < 3 / 24**0.5 / 2
    assert found.loc["spearman", "lo"] < 0 < found.loc["spearman", "hi"]
    assert found.loc["auroc", "lo"] < 0.5 < found.loc["auroc", "hi"]


def test_a_score_that_is_best_in_one_run_alone_is_not_that_runs_choice():
    rows = pairs()
    steady = rows["difference"] + np.random.default_rng(2).normal(size=len(rows)) / 3
    lucky = np.where(rows["seed"] == 2, rows["difference"], np.random.default_rng(3).normal(size=len(rows)))
    found = chosen(rows, steady=steady, lucky=lucky).set_index("statistic").loc["spearman"]
    assert (found["definition"], found["chosen"]) == ("steady", 1)
    expected = [of_run["rank"].corr(of_run["size"]) for _, of_run in ranked(rows, steady).groupby("seed")]
    assert found["value"] == pytest.approx(np.mean(expected))


def ranked(rows, score):
    frame = rows.assign(score=score)
    by_seed = frame.groupby("seed")
    return frame.assign(rank=by_seed["score"].rank(), size=by_seed["difference"].rank())


def test_of_one_run_the_halves_choose_for_each_other():
    """Either score is right on one half, where the other is the opposite: what is chosen is always wrong."""
    rows = pairs(seeds=(0,))
    even = np.arange(len(rows)) % 2 == 0
    scores = {"even": np.where(even, 1, -1) * rows["difference"], "odd": np.where(even, -1, 1) * rows["difference"]}
    found = chosen(rows, **scores).set_index("statistic")
    assert found.loc["spearman", "value"] == pytest.approx(-1)
    assert found.loc["spearman", "chosen"] == 0.5
    assert found[["lo", "hi"]].isna().all(axis=None)


def test_scores_that_some_units_lack_are_no_candidates():
    rows = pairs()
    partly = rows["difference"].where(rows["src_head"] > 0)
    found = chosen(rows, partly=partly, noise=np.random.default_rng(1).normal(size=len(rows)))
    assert set(found["definition"]) == {"noise"}
    assert set(found["scores"]) == {1}
    assert chosen(rows, partly=partly).empty


def test_rows_are_what_the_table_declares(tmp_path):
    rows = pairs()
    outputs = Paths([tmp_path / "foretelling.parquet"])
    for found in (chosen(rows, same=rows["difference"]), chosen(rows, none=np.nan)):
        write(FORETELLING, found.assign(confidence=0.95), outputs)
        assert len(read(FORETELLING, outputs)) == len(found)
