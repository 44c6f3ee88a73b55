import pandas as pd

from pipeline.claims.known_answers import counted, judged, keyed, of_losses, of_scores


def test_an_answer_passes_if_it_is_near_absent_where_undefined_or_unknown():
    rows = pd.DataFrame(
        [
            {"expected": 1.0, "measured": 1.05, "right": True},
            {"expected": 1.0, "measured": 1.2, "right": False},
            {"expected": 1.0, "measured": None, "right": False},
            {"expected": None, "measured": None, "undefined": True, "right": True},
            {"expected": None, "measured": 0.3, "undefined": True, "right": False},
            {"expected": None, "measured": 0.3, "right": True},
        ]
    ).astype({"undefined": "boolean"})
    found = judged(rows, pd.Series(0.1, rows.index), rows["undefined"].fillna(False).astype(bool))
    assert found["passed"].tolist() == rows["right"].tolist()
    assert found["tolerance"].notna().tolist() == [True] * 3 + [False] * 3


def test_an_unknown_tolerance_judges_nothing_but_absence():
    rows = pd.DataFrame({"expected": [0.0, 0.0], "measured": [9.0, None]})
    found = judged(rows, pd.Series([float("nan")] * 2), pd.Series([False] * 2))
    assert found["passed"].tolist() == [True, False]


def test_pairs_are_named_by_their_reader():
    heads = pd.DataFrame(
        {
            "layer": [1],
            "head": [0],
            "metric": ["induction"],
            "definition": ["mass"],
            "eval_set": ["text"],
            "period": [None],
        }
    ).assign(value=0.5, null_sd=0.1)
    pairs = pd.DataFrame({"src_layer": 0, "src_head": 2, "dst_layer": 1, "dst_head": 3, "metric": ["virtual"] * 2})
    pairs = pairs.assign(definition=["top1", "norm_share"], eval_set=["weights", "text"], value=0.25, null_sd=None)
    found = of_scores(heads, pairs)
    assert found["measured"].tolist() == [0.5, 0.25, 0.25]
    assert found["eval_set"].tolist() == ["text", "weights", "text"]
    assert found[["layer", "head", "src_layer", "src_head"]].iloc[1].tolist() == [1, 3, 0, 2]
    assert found["src_layer"].isna().tolist() == [True, False, False]


def test_losses_are_averaged_over_tokens():
    where = {"eval_set": "text", "period": None}
    losses = pd.DataFrame([where | {"loss": 1.0, "n": 3}, where | {"loss": 5.0, "n": 1}])
    ablations = pd.DataFrame(
        [
            {"layer": 0, "head": 0, "method": method, "token_class": kind, "difference": 0.5} | where
            for method in ("zero", "mean")
            for kind in ("all", "novel")
        ]
    )
    ends = {"src_layer": 0, "src_head": 0, "dst_layer": 1, "dst_head": 0, "kind": "K", "token_class": "all"}
    edges = pd.DataFrame([ends | where | {"difference": 0.7}])
    orders = pd.DataFrame([{"order": order, "token_class": "all", "loss": 2.0} | where for order in (1, None)])
    found = of_losses(losses, ablations, edges, orders.astype({"order": "Int64"}))
    named = found.set_index(["metric", "definition"])["measured"].to_dict()
    assert named == {("loss", "mean"): 2.0, ("loss", "order_1"): 2.0, ("ablation", "zero"): 0.5, ("edge", "K"): 0.7}


def test_what_does_not_concern_a_row_is_null():
    assert keyed(pd.DataFrame({"metric": ["loss"]})).drop(columns="metric").isna().all(axis=None)


def test_bugs_and_clean_models_are_counted_apart():
    bugs = pd.DataFrame({"expected_gate": ["terms", "logits", None, None], "passed": [True, False, True, True]})
    assert counted(bugs) == "1 of 2 injected bugs caught; clean models: 2 of 2 pass"
