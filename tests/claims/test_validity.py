from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pipeline.claims.validity import validity
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.tables.judge.validity import VALIDITY

LAYERS, HEADS, SEEDS = 2, 4, (0, 1, 2)
SURE = {"confidence": 0.95, "significance": 0.05}
PAIRS = ["experiment", "seed", "src_layer", "src_head", "dst_layer", "dst_head", "kind"]


def heads(seeds=SEEDS):
    """An effect that grows with the head's number, in seeds that number their heads differently; half are sure."""
    rows = pd.DataFrame(
        [("base", *place) for place in product(seeds, range(LAYERS), range(HEADS))],
        columns=["experiment", "seed", "layer", "head"],
    )
    size = (rows["layer"] * HEADS + rows["head"] + rows["seed"]) % (LAYERS * HEADS)
    return rows.assign(difference=size / 10, lo=(size - 3.5) / 10)


def ablations(rows):
    named = {"method": "zero", "eval_set": "repeated_text", "token_class": "second_copy"}
    return rows.assign(**named)


def scores(rows, **by_definition):
    named = {"metric": "induction", "eval_set": "text", "period": None}
    return pd.concat([rows.assign(definition=name, value=values, **named) for name, values in by_definition.items()])


def judged(head_scores, effects, pairs=None, edges=None, confidence=0.95):
    nothing = pd.DataFrame(
        columns=[*PAIRS, "metric", "definition", "value", "difference", "lo", "eval_set", "token_class"]
    )
    tables = head_scores, effects, nothing if pairs is None else pairs, nothing if edges is None else edges
    found = validity(*tables, resamples=60, permutations=99, confidence=confidence, seed=0)
    return found.set_index(["definition", "statistic"]) if len(found) else found


def test_a_score_that_tells_all_and_one_that_tells_the_opposite():
    rows = heads()
    found = judged(scores(rows, same=rows["difference"] ** 3, opposite=-rows["difference"]), ablations(rows))
    assert found.loc[("same", "spearman"), "value"] == pytest.approx(1)
    assert found.loc[("same", "auroc"), "value"] == pytest.approx(1)
    assert found.loc[("opposite", "spearman"), "value"] == pytest.approx(-1)
    assert found.loc[("opposite", "auroc"), "value"] == pytest.approx(0)
    assert (found[["p", "q"]] == 0.01).all(axis=None)  # none of 99 random orders is as far from chance
    assert set(found["n"]) == {len(SEEDS) * LAYERS * HEADS}
    assert set(found["n_seeds"]) == {len(SEEDS)}
    spearman = found.xs("spearman", level="statistic")
    assert (spearman["lo"] <= spearman["value"]).all()
    assert (spearman["value"] <= spearman["hi"]).all()
    assert spearman["control"].abs().max() < 0.2
    assert (spearman["control_hi"] > spearman["control"]).all()


def test_values_are_those_of_scipy_and_of_counting_pairs():
    rows = heads()
    random = np.random.default_rng(3).integers(0, 4, len(rows)).astype(float)  # with ties
    found = judged(scores(rows, random=random), ablations(rows))
    correlations, areas = [], []
    for _, run in rows.assign(score=random).groupby("seed"):
        correlations.append(stats.spearmanr(run["score"], run["difference"]).statistic)
        sure, unsure = run[run["lo"] > 0]["score"], run[run["lo"] <= 0]["score"]
        areas.append(np.mean([(a > b) + 0.5 * (a == b) for a in sure for b in unsure]))
    assert found.loc[("random", "spearman"), "value"] == pytest.approx(np.mean(correlations))
    assert found.loc[("random", "auroc"), "value"] == pytest.approx(np.mean(areas))


def test_random_scores_are_called_significant_as_often_as_they_should():
    rows, generator = heads(), np.random.default_rng(1)
    effects = ablations(rows.assign(difference=generator.normal(size=len(rows))))
    random = scores(rows, **{f"score {place}": generator.normal(size=len(rows)) for place in range(300)})
    found = judged(random, effects).xs("spearman", level="statistic")
    false = (found["p"] <= 0.05).sum()
    assert stats.binomtest(int(false), len(found), 0.05).pvalue > 0.001
    assert (found["q"] <= 0.05).mean() < 0.01
    covered = (found["lo"] <= 0) & (found["hi"] >= 0)
    assert 0.93 < covered.mean() < 0.999


def test_heads_without_a_score_do_not_count():
    rows = heads()
    later = rows["difference"].where(rows["layer"] == 1)
    found = judged(scores(rows, later=later, all=rows["difference"]), ablations(rows))
    assert found.loc[("later", "spearman"), "value"] == pytest.approx(1)
    assert found.loc[("later", "spearman"), "n"] == len(SEEDS) * HEADS
    assert found.loc[("all", "spearman"), "n"] == len(SEEDS) * LAYERS * HEADS


def test_what_is_undefined_has_no_row():
    rows = heads()
    found = judged(
        scores(rows, flat=0.5 * np.ones(len(rows)), known=rows["difference"]), ablations(rows.assign(lo=1.0))
    )
    assert found.index.tolist() == [("known", "spearman")]


def test_a_study_without_ablations_has_an_empty_table(tmp_path):
    rows = heads()
    found = judged(scores(rows, same=rows["difference"]), ablations(rows).iloc[:0])
    assert found.empty
    write(VALIDITY, found.assign(**SURE), Paths([tmp_path / "validity.parquet"]))


def test_the_rows_are_what_the_table_declares(tmp_path):
    rows = heads()
    found = judged(scores(rows, same=rows["difference"], opposite=-rows["difference"]), ablations(rows))
    outputs = Paths([tmp_path / "validity.parquet"])
    write(VALIDITY, found.reset_index().assign(**SURE), outputs)
    assert len(read(VALIDITY, outputs)) == 4


def test_runs_that_disagree_leave_all_open():
    rows = heads()
    turned = rows["difference"] * np.where(rows["seed"] == 2, -1, 1)
    found = judged(scores(rows, turned=turned), ablations(rows)).loc[("turned", "spearman")]
    assert found["value"] == pytest.approx(1 / 3)
    assert (found["lo"], found["hi"]) == (-1, 1)


def test_one_run_has_no_interval():
    rows = heads(seeds=(0,))
    found = judged(scores(rows, same=rows["difference"]), ablations(rows))
    assert found[["lo", "hi"]].isna().all(axis=None)
    assert (found["value"] == 1).all()


def test_pairs_are_compared_with_their_own_edges():
    rows = pd.DataFrame(
        [("base", seed, 0, src, 1, dst, kind) for seed, src, dst, kind in product(SEEDS, range(3), range(3), "QK")],
        columns=PAIRS,
    )
    size = rows["src_head"] * 3 + rows["dst_head"] + 0.0
    edges = rows.assign(
        difference=np.where(rows["kind"] == "K", size, -size), lo=size - 4, eval_set="text", token_class="all"
    )
    pairs = rows[rows["kind"] == "K"].assign(
        metric="K_composition", definition="frobenius", eval_set="weights", value=size
    )
    nothing = scores(heads(), none=0.0).iloc[:0]
    found = judged(nothing, ablations(heads()).iloc[:0], pairs, edges).xs("spearman", level="statistic")
    assert found.set_index("effect")["value"].round(9).to_dict() == {"edge_K": 1.0, "edge_Q": -1.0}
    assert set(found["eval_set"]) == {"weights"}
    assert set(found["effect_set"]) == {"text"}


def test_the_seed_decides_the_numbers():
    rows = heads()
    random = scores(rows, random=np.random.default_rng(5).normal(size=len(rows)))
    pd.testing.assert_frame_equal(judged(random, ablations(rows)), judged(random, ablations(rows)))


def test_less_confidence_makes_shorter_intervals_about_the_same_values():
    rows = heads()
    random = scores(rows, random=np.random.default_rng(5).normal(size=len(rows)))
    wide, narrow = (judged(random, ablations(rows), confidence=share) for share in (0.95, 0.5))
    pd.testing.assert_series_equal(wide["value"], narrow["value"])
    assert (narrow["hi"] - narrow["lo"] < wide["hi"] - wide["lo"]).all()
    assert (narrow["control_hi"] < wide["control_hi"]).all()


def test_q_is_over_all_rows_of_an_experiment():
    rows = heads()
    random = {f"score {place}": np.random.default_rng(place).normal(size=len(rows)) for place in range(20)}
    found = judged(scores(rows, **random), ablations(rows))
    np.testing.assert_allclose(found["q"], stats.false_discovery_control(found["p"].to_numpy(float)))
    assert len(found) == 40
