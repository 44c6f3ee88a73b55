import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.circuits.chance.significance import of_draws, of_moments
from pipeline.circuits.definitions.registry import DEFINITIONS
from pipeline.circuits.resampling import resampled_counts
from pipeline.circuits.scores.score import Score, pooled
from pipeline.frames.scores import beside_chance, loss_rows, null_rows, score_rows, sentence_rows

MASS, TOP1, PREFIX = ("induction", "mass"), ("copying", "top1"), ("induction", "prefix_trace")
VALUE = torch.tensor([[0.1, 0.2], [0.3, torch.nan]], dtype=torch.float64)


def of_sentences():
    """Scores of two layers' two heads, as means of three sentences."""
    sentences = torch.rand(3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return pooled(sentences, torch.ones(3, 1, 1, dtype=torch.float64), chance=0.25, ideal=1.0)


def test_every_element_of_a_score_has_a_row_that_says_what_its_definition_does():
    rows = score_rows("layer head", {TOP1: Score(VALUE, 0.25, 1.0)}, None, 0.9, period=None)
    assert rows["value"].isna().tolist() == [False, False, False, True]
    assert list(zip(rows["layer"], rows["head"], rows["value"], strict=True))[:3] == [
        (0, 0, 0.1),
        (0, 1, 0.2),
        (1, 0, 0.3),
    ]
    constants = rows[["metric", "definition", "chance", "ideal", "confidence", "source", "gauge_invariant", "eval_set"]]
    entry = DEFINITIONS[TOP1]
    expected = ("copying", "top1", 0.25, 1.0, 0.9, entry.source, True, "weights")
    assert set(constants.itertuples(index=False, name=None)) == {expected}
    assert rows[["lo", "hi", "period"]].isna().all(axis=None)


def test_sets_of_sequences_are_named_by_the_caller_where_the_definition_leaves_them_open():
    rows = score_rows("layer head", {MASS: Score(VALUE)}, None, 0.95, eval_set="repeated_tokens", period=7)
    assert set(rows["eval_set"]) == {"repeated_tokens"}
    assert set(rows["period"]) == {7}
    assert set(score_rows("layer head", {PREFIX: Score(VALUE)}, None, 0.95)["eval_set"]) == {"text"}


def test_intervals_are_those_of_the_scores():
    score, counts = of_sentences(), resampled_counts(3, 50, torch.Generator().manual_seed(1))
    rows = score_rows("layer head", {MASS: score}, counts, 0.8, eval_set="text")
    lo, hi = score.interval(counts, 0.8)
    assert rows["lo"].to_list() == lo.flatten().tolist()
    assert rows["hi"].to_list() == hi.flatten().tolist()


def test_only_scores_of_sentences_have_rows_by_sentence():
    score = of_sentences()
    rows = sentence_rows("layer head", {MASS: score, TOP1: Score(VALUE)}, eval_set="text", period=None)
    assert set(rows["definition"]) == {"mass"}
    assert len(rows) == 3 * 2 * 2
    row = rows.query("sentence == 2 and layer == 1 and head == 0")
    assert row["value"].item() == score.sentences[2, 1, 0].item()
    assert row["weight"].item() == 1


def test_losses_are_averaged_over_the_tokens_of_a_class_in_a_part():
    losses = torch.tensor([[torch.nan, 1, 2, 4], [torch.nan, 5, 6, 7]], dtype=torch.float64)
    classes = np.array([["other"] * 4, ["other", "other", "second_copy", "other"]])
    rows = loss_rows(losses, classes, 2, eval_set="text").set_index(["sentence", "part", "token_class"])
    assert rows["loss"].to_dict() == {
        (0, 0, "other"): 1,
        (0, 1, "other"): 3,
        (1, 0, "other"): 5,
        (1, 1, "other"): 7,
        (1, 1, "second_copy"): 6,
    }
    assert rows["n"].to_list() == [1, 2, 1, 1, 1]
    assert set(rows["parts"]) == {2}


def compared():
    draws = torch.randn(99, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    values = torch.tensor([[5.0, 0.1], [2.0, -1.0]], dtype=torch.float64)
    score = Score(values, 0.0, 10.0)
    kinds = {
        "rotation": of_draws(values, draws),
        "permuted_tokens": of_moments(values, torch.zeros(()), torch.ones(2, 2)),
    }
    name = ("copying", "diagonal_z")
    scores = score_rows("layer head", {name: score}, None, 0.95, period=None)
    return kinds, scores, null_rows("layer head", {name: kinds}, period=None)


def test_every_kind_of_chance_has_rows_and_the_first_is_chosen():
    kinds, _, nulls = compared()
    assert nulls.groupby("null_kind")["chosen"].agg(set).to_dict() == {"rotation": {True}, "permuted_tokens": {False}}
    for null_kind, chance in kinds.items():
        rows = nulls[nulls["null_kind"] == null_kind]
        for column, field in (("null_mean", "mean"), ("null_sd", "sd"), ("z", "z"), ("p", "p")):
            np.testing.assert_array_equal(rows[column], getattr(chance, field).flatten())
        assert rows["draws"].isna().all() if chance.draws is None else (rows["draws"] == chance.draws).all()


def test_scores_without_chance_have_no_rows():
    assert null_rows("layer head", {}).empty


def test_scores_stand_beside_their_first_kind_of_chance():
    kinds, scores, nulls = compared()
    beside, chances = beside_chance(scores, [nulls], ["layer", "head"], ["eval_set", "period"])
    assert set(beside["null_kind"]) == {"rotation"}
    assert len(chances) == 8
    assert "chosen" not in chances
    assert beside["p"].to_list() == kinds["rotation"].p.flatten().tolist()
    back = beside["null_mean"] + beside["normalised"] * (beside["ideal"] - beside["null_mean"])
    np.testing.assert_allclose(back, beside["value"])
    assert (beside["q"] >= beside["p"]).all()


def test_q_is_over_all_heads_of_a_score_and_kind():
    """p of 0.01, 0.02, 0.03 and 0.04 have q of 0.04 each: 4 p / rank; those of another kind do not count."""
    _, scores, nulls = compared()
    nulls.loc[nulls["null_kind"] == "rotation", "p"] = [0.04, 0.01, 0.03, 0.02]
    nulls.loc[nulls["null_kind"] == "permuted_tokens", "p"] = [0.5, 0.6, 1.0, 1.0]
    parts = [nulls[nulls["layer"] == layer] for layer in range(2)]
    beside, chances = beside_chance(scores, parts, ["layer", "head"], ["eval_set", "period"])
    assert beside["q"].to_list() == pytest.approx([0.04] * 4)
    other = chances[chances["null_kind"] == "permuted_tokens"].sort_values("p")
    assert other["q"].to_list() == pytest.approx([1.0] * 4)


def test_a_score_that_nothing_is_compared_with_has_empty_columns():
    _, scores, nulls = compared()
    alone = score_rows("layer head", {MASS: Score(VALUE)}, None, 0.95, eval_set="text", period=None)
    beside, _ = beside_chance(pd.concat([scores, alone]), [nulls], ["layer", "head"], ["eval_set", "period"])
    alone = beside[beside["definition"] == "mass"]
    assert len(alone) == 4
    assert alone[["null_kind", "null_mean", "z", "p", "q", "normalised"]].isna().all(axis=None)


def test_a_head_that_is_no_better_than_chance_can_be_is_not_normalised():
    """Where the ideal is what chance gives, there is nothing to divide by."""
    _, scores, nulls = compared()
    ideal = nulls.loc[nulls["chosen"], "null_mean"].to_numpy()
    beside, _ = beside_chance(scores.assign(ideal=ideal), [nulls], ["layer", "head"], ["eval_set", "period"])
    assert beside["normalised"].isna().all()
