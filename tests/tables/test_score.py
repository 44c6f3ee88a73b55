from typing import get_args

import pytest

from pipeline.circuits.definitions.definition import NullKind
from pipeline.tables.score import (
    HEAD_PAIRS,
    HEAD_SCORES,
    LOSS_BY_POSITION,
    NULL_KINDS,
    NULLS,
    PAIR_DIRECTIONS,
    PAIR_NULLS,
    SENTENCE_SCORES,
    VIRTUAL_HEADS,
)

SCORE = {"metric": "induction", "definition": "mass", "eval_set": "repeated_tokens", "confidence": 0.95}
HEAD = SCORE | {"layer": 0, "head": 0, "period": 5}
PAIR = SCORE | {"src_layer": 0, "src_head": 0, "dst_layer": 1, "dst_head": 0}


def test_a_score_is_compared_with_what_definitions_name():
    assert set(NULL_KINDS) == set(get_args(NullKind))


@pytest.mark.parametrize(("scores", "nulls"), [(HEAD_SCORES, NULLS), (HEAD_PAIRS, PAIR_NULLS)])
def test_a_score_may_be_held_against_every_kind_of_chance(scores, nulls):
    assert nulls.key == (*scores.key, "null_kind")
    compared = {"null_kind", "null_mean", "null_sd", "z", "p", "q"}
    assert set(nulls.names) - set(scores.names) == {"draws"}
    assert compared <= set(scores.names)


def test_a_score_is_kept_with_its_distance_from_chance(kept, refusal):
    """0.75 where chance gives 0.25 +- 0.125: four deviations off, and two thirds of the way to the ideal 1."""
    known = HEAD | {"value": 0.75, "null_kind": "rotation", "null_mean": 0.25, "null_sd": 0.125, "ideal": 1.0}
    (row,) = kept(HEAD_SCORES, known | {"z": 4.0, "p": 0.01, "normalised": 2 / 3}).itertuples()
    assert (row.value - row.null_mean) / row.null_sd == row.z
    assert (row.value - row.null_mean) / (row.ideal - row.null_mean) == pytest.approx(row.normalised)
    assert refusal(HEAD_SCORES, known | {"p": 1.01}) == "column p: 1.01 is above 1"
    assert refusal(HEAD_SCORES, known | {"null_sd": -0.1}) == "column null_sd: -0.1 is below 0"
    assert len(kept(HEAD_SCORES, known, known | {"period": 7})) == 2
    assert "two rows share the key" in refusal(HEAD_SCORES, known, known)


def test_a_score_that_is_undefined_is_null_and_never_nan_in_disguise(kept, refusal):
    assert kept(HEAD_SCORES, HEAD)[["value", "null_kind", "p"]].isna().all(axis=None)
    assert refusal(HEAD_SCORES, HEAD | {"value": float("inf")}) == "column value: holds an infinite value or NaN"


def test_a_null_in_closed_form_was_never_drawn(kept, refusal):
    closed, drawn = (
        {"null_kind": kind, "draws": draws} for kind, draws in (("permuted_tokens", None), ("rotation", 40))
    )
    assert kept(NULLS, HEAD | drawn, HEAD | closed)["draws"].fillna(-1).tolist() == [-1, 40]
    assert kept(PAIR_NULLS, PAIR | drawn)["draws"].tolist() == [40]
    assert refusal(NULLS, HEAD | drawn | {"draws": 0}) == "column draws: 0 is below 1"
    assert "is not one of gaussian, rotation" in refusal(NULLS, HEAD | {"null_kind": "shuffled"})


def test_a_sets_score_is_the_weighted_mean_of_its_sentences(kept, refusal):
    """One sentence of 3 targets, all met; one of 1, missed; one without any."""
    sentences = [(0, 1.0, 3), (1, 0.0, 1), (2, None, 0)]
    rows = [HEAD | {"sentence": place, "value": value, "weight": weight} for place, value, weight in sentences]
    table = kept(SENTENCE_SCORES, *rows)
    assert (table["value"] * table["weight"]).sum() / table["weight"].sum() == 0.75
    assert refusal(SENTENCE_SCORES, rows[0] | {"weight": -1.0}) == "column weight: -1.0 is below 0"


def test_a_pair_is_two_heads_and_each_composition_of_theirs(kept, refusal):
    rows = kept(HEAD_PAIRS, PAIR | {"value": 0.5}, PAIR | {"dst_head": 1}, PAIR | {"metric": "K_composition"})
    assert rows["metric"].tolist() == ["K_composition", "induction", "induction"]
    assert len(kept(HEAD_PAIRS, PAIR, PAIR | {"eval_set": "weights"})) == 2
    assert "two rows share the key" in refusal(HEAD_PAIRS, PAIR, PAIR)


def test_a_position_has_a_loss_a_class_of_tokens(kept, refusal):
    first = {"eval_set": "repeated_text", "position": 3, "token_class": "first_copy", "loss": 4.0, "n": 2}
    second = first | {"token_class": "second_copy", "loss": 1.0, "n": 6}
    rows = kept(LOSS_BY_POSITION, second, first)
    assert (rows["loss"] * rows["n"]).sum() / rows["n"].sum() == 1.75
    assert refusal(LOSS_BY_POSITION, first | {"loss": -1.0}) == "column loss: -1.0 is below 0"


def test_a_list_of_promoted_tokens_is_read_from_the_first(kept, refusal):
    entry = {"src_head": "0.1", "dst_head": "1.2", "kind": "virtual", "position": 4}
    ranked = [entry | {"rank": rank, "token": token, "logit": 3.0 - rank} for rank, token in ((1, "b"), (0, "a"))]
    assert kept(VIRTUAL_HEADS, *ranked)["token"].tolist() == ["a", "b"]
    assert "two rows share the key" in refusal(VIRTUAL_HEADS, ranked[0], ranked[0] | {"token": "c"})


def test_a_direction_has_a_composition_through_each_input(kept, refusal):
    """A head whose matrix is 0 reads nothing of it: null."""
    pair = {name: value for name, value in PAIR.items() if name.endswith(("layer", "head"))}
    row = pair | {"direction": 0, "singular_value": 2.0, "value": 0.5, "chance": 0.125}
    rows = kept(
        PAIR_DIRECTIONS, *(row | {"through": through} for through in "QK"), row | {"through": "V", "value": None}
    )
    assert rows["value"].isna().tolist() == [False, False, True]
    assert "two rows share the key" in refusal(PAIR_DIRECTIONS, row | {"through": "Q"}, row | {"through": "Q"})
    assert refusal(PAIR_DIRECTIONS, row | {"through": "Q", "singular_value": -1.0}).endswith("is below 0")
