import numpy as np
import pandas as pd
import pytest

from pipeline.claims.definition_power import ALL, Judging, best_ways, definition_power, halves

JUDGING = Judging(confidence=0.95, level=0.05, power=0.8, near=0.01, prevalence=0.1, sizes=(1, 2))
PERFECT, USELESS, SLOW = (("induction", name, "one_period") for name in ("perfect", "useless", "slow"))
WEIGHTS = ("induction", "perfect", "weights")


def known():
    """Forty wired models and forty trained ones, of one head that plays the role and one that does not; look-alikes."""
    rows = [
        {"model": model, "kind": kind, "induction": plays}
        for model, kind in enumerate(["wired"] * 40 + ["trained"] * 40)
        for plays in (1.0, 0.0)
    ]
    rows += [
        {"model": 80 + number, "kind": "look_alike", "induction": plays}
        for number in range(4)
        for plays in (0.0, np.nan)
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def rows():
    heads = known()
    plays = heads["induction"].fillna(0.0).to_numpy()
    draws = len(JUDGING.sizes) * 2 + 1
    slow = np.tile(plays, (draws, 1))
    slow[1:3] = 0  # nothing is seen on one sentence
    scores = {PERFECT: np.tile(plays, (draws, 1)), USELESS: np.zeros((draws, len(heads))), SLOW: slow}
    scores[WEIGHTS] = scores[PERFECT]
    chance = {key: np.linspace(0, 0.5, 40)[None] for key in scores}
    thresholds = {PERFECT[:2]: (0.5, "published"), USELESS[:2]: (0.5, "project")}
    table = definition_power(heads, scores, chance, thresholds, JUDGING, np.random.default_rng(0))
    return table.set_index(["definition", "measured_on", "kind"]).sort_index()


def test_a_perfect_and_a_useless_score(rows):
    perfect, useless = (rows.loc[name, "one_period", ALL] for name in ("perfect", "useless"))
    assert perfect[["auc", "power", "power_at_level"]].tolist() == [1, 1, 1]
    assert perfect[["false_positives", "false_positives_at_level", "false_discoveries"]].tolist() == [0, 0, 0]
    assert useless[["auc", "power", "power_at_level", "false_positives"]].tolist() == [0.5, 0, 0, 0]
    assert np.isnan(useless["false_discoveries"])
    assert perfect["auc_lo"] < 1 == perfect["auc_hi"]


def test_what_has_no_threshold_has_that_of_heads_never_trained(rows):
    """Two of forty may lie above: the third largest of forty numbers from 0 to a half."""
    found = rows.xs(ALL, level="kind")[["threshold", "threshold_from"]]
    assert found.loc[("slow", "one_period")].tolist() == [pytest.approx(0.5 * 37 / 39), "chance"]
    assert found.loc[("perfect", "weights")].tolist() == [0.5, "published"]


def test_heads_are_counted_where_they_are_known(rows):
    counts = rows.loc["perfect", "one_period"][["n_positive", "n_negative", "n_models"]]
    assert counts.loc[ALL].tolist() == [80, 84, 84]
    assert counts.loc["wired"].tolist() == [40, 40, 40]
    assert counts.loc["look_alike"].tolist() == [80, 4, 84]


def test_sentences_are_counted_where_there_are_any(rows):
    needed = rows.xs(ALL, level="kind")[["sentences_for_auc", "sentences_for_power"]]
    assert needed.loc["perfect", "one_period"].tolist() == [1, 1]
    assert needed.loc["slow", "one_period"].tolist() == [2, 2]
    assert needed.loc[("useless", "one_period")].isna().tolist() == [False, True]
    assert needed.loc[("perfect", "weights")].isna().all()


def test_half_of_the_models_of_each_kind_choose():
    heads = known()
    half = halves(heads, np.random.default_rng(0))
    of_models = heads.assign(half=half).groupby("model")["half"]
    assert of_models.nunique().eq(1).all()
    assert heads.assign(half=half).drop_duplicates("model").groupby("kind")["half"].mean().eq(0.5).all()


def test_a_threshold_is_judged_on_models_that_did_not_choose_it():
    """Of every half, the other half's negatives lie elsewhere: nobody who saw both could let so many through."""
    heads = known()
    half = halves(heads, np.random.default_rng(0))
    scores = {PERFECT: np.where(half, 2.0, 1.0)[None].repeat(5, 0)}
    table = definition_power(heads, scores, scores, {PERFECT[:2]: (3.0, "project")}, JUDGING, np.random.default_rng(0))
    assert table.loc[0, ["power_at_level", "false_positives_at_level"]].tolist() == [0.5, 0.5]
    assert table.loc[0, "threshold_at_level"] == 2


def test_the_best_way_of_every_definition_comes_first():
    def row(definition, measured_on, kind, auc, power):
        names = {"metric": "induction", "definition": definition, "measured_on": measured_on, "kind": kind}
        return names | {"auc": auc, "power": power, "false_positives": 0.0}

    table = pd.DataFrame(
        [
            row("mass", "one_period", "all", 0.9, 1.0),
            row("mass", "one_period", "wired", 0.9, 1.0),
            row("mass", "text", "all", 0.95, 0.5),
            row("mass", "text", "wired", 0.8, 0.5),
            row("stripe", "text", "all", 0.95, 0.4),
            row("stripe", "text", "wired", 0.9, 0.4),
            row("other", "text", "all", 0.9501, 0.6),  # equal but for rounding
            row("other", "text", "wired", 0.9, 0.6),
        ]
    )
    best = best_ways(table)
    assert best["definition"].tolist() == ["other", "stripe", "mass"]
    assert best["measured_on"].tolist() == ["text"] * 3
    assert best["least_auc"].tolist() == [0.9, 0.9, 0.8]
