import pandas as pd
import pytest
from measured_study import HEADS, INDUCTION, PERIODS, SEEDS, SENTENCES, study

from pipeline.claims.measures import measures, probes_of, role_heads

EARLY, LATE = (0.1, 0.2), (0.9, 1.0)


def test_roles_find_the_same_heads_whatever_their_numbers():
    heads = role_heads(study())
    heads = heads[heads["role"] == "induction"].set_index(["experiment", "seed"])["head"]
    assert heads.to_dict() == {
        (experiment, seed): (seed + (experiment == "other")) % HEADS
        for experiment in ("base", "other")
        for seed in SEEDS
    }


def test_heads_are_measured_on_the_sentences_that_did_not_choose_them():
    """Even sentences lie 0.01 above the head's score, odd ones, which judge, below; period 53 lies 0.02 higher."""
    mass = measures(study(), EARLY, LATE)["induction", "induction", "mass", "repeated_tokens"]["base"][0]
    assert mass.value == pytest.approx(INDUCTION - 0.01 + 0.02 / len(PERIODS))
    assert len(mass.influence) == len(PERIODS) * SENTENCES / 2


def test_sentences_are_the_same_where_one_probe_drew_them():
    for probe, together in (("same", 1), ("later", 2)):
        gain = "model", "second_copy_gain", "first_minus_second", "repeated_text"
        runs = measures(study(probe=probe), EARLY, LATE)[gain].values()
        assert len({name for seeds in runs for number in seeds.values() for name in number.influence.index}) == (
            together * SENTENCES
        )


def test_probes_are_named_by_what_drew_them():
    assert probes_of(study(probe="later", seeds=(1,))["runs"]) == {("base", 1): "same", ("other", 1): "later"}


def test_the_pair_is_of_the_best_heads():
    pair = measures(study(), EARLY, LATE)["pair", "K_composition", "frobenius", "weights"]
    assert {number.value for runs in pair.values() for number in runs.values()} == {0.3}
    assert [len(runs) for runs in pair.values()] == [len(SEEDS)] * 2


def test_a_previous_token_head_that_cannot_feed_the_induction_head_is_not_of_the_pair():
    """The best of all lies beside the induction head, in its layer; the pair's is still the best before it."""
    tables = study()
    for name in ("head_scores", "sentence_scores"):
        rows = tables[name][tables[name]["metric"] == "previous_token"]
        tables[name] = pd.concat([tables[name], rows.assign(layer=1, value=rows["value"] + 0.05)], ignore_index=True)
    heads = role_heads(tables)
    assert set(heads.loc[heads["role"] == "previous_token", "layer"]) == {1}
    pair = measures(tables, EARLY, LATE)["pair", "K_composition", "frobenius", "weights"]
    assert {number.value for runs in pair.values() for number in runs.values()} == {0.3}
    assert [len(runs) for runs in pair.values()] == [len(SEEDS)] * 2


def test_losses_are_by_class_and_what_follows_from_them():
    model = {
        measure[1:]: runs["other"][0]
        for measure, runs in measures(study(shift=-0.4), EARLY, LATE).items()
        if measure[0] == "model"
    }
    assert {measure: number.value for measure, number in model.items()} == pytest.approx(
        {
            ("loss", "first_copy", "repeated_text"): 3.0,
            ("loss", "second_copy", "repeated_text"): 1.4,
            ("loss", "other", "text"): 4.0,
            ("second_copy_gain", "first_minus_second", "repeated_text"): 1.6,
            ("in_context_learning", "early_minus_late", "text"): 0.0,
        }
    )
    variance = 0.1**2 / (SENTENCES - 1)  # of the mean of what alternates by 0.1
    gain = model["second_copy_gain", "first_minus_second", "repeated_text"]
    assert (gain.influence**2).sum() == pytest.approx(variance)


def test_undefined_values_are_left_out():
    tables = study()
    copying = tables["head_scores"]["metric"] == "copying"
    tables["head_scores"].loc[copying, "value"] = None
    assert "copying" not in {metric for _, metric, *_ in measures(tables, EARLY, LATE)}
