import math

import numpy as np
import pandas as pd
import pytest

from pipeline.claims.matching import head_matches, matched
from pipeline.plumbing.artefacts import Paths, write
from pipeline.tables.judge.head_matches import HEAD_MATCHES

SCORES = np.random.default_rng(0).normal(size=(4, 12))


def study(permutation, extra=None):
    """Two runs of one layer: the other's head i is the first's head permutation[i]."""
    rows = []
    for experiment, seed, order in (("base", 0, range(4)), ("base", 1, permutation), ("other", 0, extra or range(4))):
        for head, which in enumerate(order):
            for place, value in enumerate(SCORES[which]):
                name = {
                    "metric": f"metric {place // 2}",
                    "definition": f"{place % 2}",
                    "eval_set": "text",
                    "period": None,
                }
                rows.append({"experiment": experiment, "seed": seed, "layer": 0, "head": head, "value": value} | name)
    return pd.DataFrame(rows)


def test_a_permutation_of_heads_is_recovered():
    found = head_matches(study([2, 0, 3, 1]), "base").set_index(["experiment", "seed"])
    assert found.loc[("base", 1), "reference_head"].to_list() == [2, 0, 3, 1]
    assert found.loc[("base", 0), "reference_head"].to_list() == [0, 1, 2, 3]
    np.testing.assert_allclose(found["similarity"].astype(float), 1)
    assert (found["at_random"] < 0.5).all()


def test_no_head_is_given_away_twice():
    """Both are most like the first; the second head is the more like the second."""
    heads = np.array([[1.0, 2.0, 3.0, 5.0], [1.0, 2.0, 3.0, 4.0]])
    others = np.array([[1.0, 2.0, 3.0, 4.6], [1.0, 2.0, 4.0, 3.0]])
    assert [other for _, other, _, _ in matched(heads, others)] == [0, 1]


def test_noise_does_not_change_the_match():
    noisy = SCORES[[3, 1, 0, 2]] + 0.2 * np.random.default_rng(1).normal(size=SCORES.shape)
    assert [other for _, other, _, _ in matched(noisy, SCORES)] == [3, 1, 0, 2]


def test_a_head_too_many_has_no_partner():
    found = matched(SCORES, SCORES[:2])
    assert [other for _, other, _, _ in found] == [0, 1, None, None]
    assert math.isnan(found[2][2])
    assert found[2][3] == pytest.approx(found[0][3])


def test_scores_that_one_run_lacks_do_not_count():
    less = SCORES.copy()
    less[:, 5] = math.nan
    assert [similarity for _, _, similarity, _ in matched(less, SCORES)] == pytest.approx([1] * 4)
    assert [other for _, other, _, _ in matched(less * math.nan, SCORES)] == [None] * 4


def test_the_table_is_as_declared(tmp_path):
    files = Paths([tmp_path / "head_matches.parquet"])
    write(HEAD_MATCHES, head_matches(study([2, 0, 3, 1], extra=range(3)), "base"), files)
    write(HEAD_MATCHES, head_matches(study([0, 1, 2, 3]).iloc[:0], "base"), files)
