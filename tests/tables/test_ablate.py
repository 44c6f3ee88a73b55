import math

import pytest
from made_up_rows import options

from pipeline.ablate import CLASSES
from pipeline.circuits.causes.ablation import METHODS
from pipeline.circuits.causes.edges import INPUTS
from pipeline.circuits.causes.path_effects import groups_of
from pipeline.tables.ablate import ABLATIONS, EDGES, PATHS, TERM_ORDERS, interval
from pipeline.tables.columns import CONFIDENCE

ON_TEXT = {"eval_set": "text", "token_class": "all", "confidence": 0.95, "n": 4}


def test_an_interval_is_two_ends_that_may_be_missing_and_how_sure_it_is():
    lo, hi, confidence = interval("the gain", "logits")
    assert (lo.name, hi.name, confidence) == ("lo", "hi", CONFIDENCE)
    assert lo.meaning == "lower end of the interval of the gain; null if there is none"
    assert hi.meaning == "upper end of the interval of the gain; null if there is none"
    assert {(end.unit, end.nullable, end.low, end.high) for end in (lo, hi)} == {("logits", True, None, None)}
    assert {end.unit for end in interval("the gain")[:2]} == {"nats per token"}


def test_names_are_those_of_what_is_done():
    assert options(ABLATIONS, "method") == set(METHODS)
    assert options(EDGES, "kind") == set(INPUTS)
    assert options(TERM_ORDERS, "group") == set(
        groups_of([("direct", "direct"), ("0.0", "direct"), ("direct", "1.0"), ("0.0", "1.0")])
    )
    for table in (ABLATIONS, PATHS, TERM_ORDERS, EDGES):
        assert options(table, "token_class") == set(CLASSES)


def test_a_head_may_help_or_harm_but_no_loss_is_below_0(kept, refusal):
    """The model as it is loses 2 nats: 2.5 without the head, 1.9 with another sentence's output in its place."""
    harmed = ON_TEXT | {"layer": 1, "head": 0, "method": "zero", "loss": 2.5, "difference": 0.5}
    helped = ON_TEXT | {"layer": 0, "head": 3, "method": "resample", "loss": 1.9, "difference": -0.1}
    rows = kept(ABLATIONS, harmed, helped)
    assert (rows["loss"] - rows["difference"]).tolist() == [2.0, 2.0]
    assert rows["head"].tolist() == [3, 0]  # by layer
    assert refusal(ABLATIONS, harmed | {"loss": -0.5}) == "column loss: -0.5 is below 0"
    assert len(kept(ABLATIONS, harmed, harmed | {"token_class": "novel"})) == 2
    assert "two rows share the key" in refusal(ABLATIONS, harmed, harmed | {"loss": 3.0})


def test_orders_and_groups_stand_in_one_table(kept, refusal):
    """Of 4 tokens even guessing loses log 4; each order and group takes a part of that."""
    even = math.log(4)
    orders = [ON_TEXT | {"order": n, "loss": even - n, "gain": float(n > 0)} for n in (1, 0)]
    group = ON_TEXT | {"group": "virtual", "loss": even - 0.2, "gain": 0.3, "first": 0.2, "last": 0.4}
    rows = kept(TERM_ORDERS, *orders, group)
    assert rows["order"].isna().tolist() == [True, False, False]
    assert rows["order"].tolist()[1:] == [0, 1]
    assert rows["gain"].sum() == pytest.approx(1.3)
    assert len(kept(TERM_ORDERS, group, group | {"token_class": "novel"})) == 2
    assert "two rows share the key" in refusal(TERM_ORDERS, group, group)
    assert "'layer_2' is not one of" in refusal(TERM_ORDERS, group | {"group": "layer_2"})


def test_a_path_may_cost_less_than_nothing_and_is_there_once(kept, refusal):
    path = ON_TEXT | {"l0": "0.1", "l1": "direct", "shapley": -0.1, "loss_removed": -0.2}
    assert kept(PATHS, path, path | {"l1": "1.0"})["l1"].tolist() == ["1.0", "direct"]
    assert len(kept(PATHS, path, path | {"token_class": "novel"})) == 2
    assert "two rows share the key" in refusal(PATHS, path, path)


def test_attention_moves_by_1_at_most_and_not_where_nothing_repeats(kept, refusal):
    edge = ON_TEXT | {"src_layer": 0, "src_head": 1, "dst_layer": 1, "dst_head": 0, "kind": "K", "loss": 2.0}
    moved, nothing = edge | {"induction_change": -1.0}, edge | {"kind": "Q"}
    assert kept(EDGES, nothing, moved)["induction_change"].fillna(7).tolist() == [-1, 7]
    assert len(kept(EDGES, moved, nothing | {"kind": "K", "token_class": "novel"})) == 2
    assert "two rows share the key" in refusal(EDGES, moved, moved)
    assert refusal(EDGES, edge | {"induction_change": -1.5}) == "column induction_change: -1.5 is below -1"
