from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.ask.compare import of_heads, of_models, of_studies, scores
from pipeline.ask.study import Study

PARTNERS = pd.DataFrame({"layer_a": [1], "head_a": [1], "layer_b": [1], "head_b": [0]})
VALUE = 7.0


@pytest.fixture(scope="module")
def planted(model):
    """A model and its fine-tune: head 1.1 takes one token to one more, by 7 logits; which tokens, and both models.

    These have the longest embedding and unembedding, so that no other pair gets as much of what is written for them.
    """
    weights = model.weights
    W_V, W_O = weights.W_V.clone(), weights.W_O.clone()
    W_V[1, 1, :, 0], W_O[1, 1, 0] = 0, 0
    before = replace(model, name="before", run=None, weights=replace(weights, W_V=W_V, W_O=W_O))
    source, target = int(weights.W_E.norm(dim=1).argmax()), int(weights.W_U.norm(dim=0).argmax())
    W_V, W_O = W_V.clone(), W_O.clone()
    W_V[1, 1, :, 0] = VALUE * weights.W_E[source] / weights.W_E[source].square().sum()
    W_O[1, 1, 0] = weights.W_U[:, target] / weights.W_U[:, target].square().sum()
    tuned = replace(before, name="tuned", weights=replace(before.weights, W_V=W_V, W_O=W_O))
    return before, tuned, model.shown[[source, target]]


def in_another_guise(model):
    """The same function with the heads of each layer exchanged, in a wider stream and another basis, without a run."""
    weights, wider = model.weights, model.weights.d_model + 5
    turn = torch.linalg.qr(torch.randn(wider, wider, generator=torch.Generator().manual_seed(1))).Q
    turn = turn[: weights.d_model]
    tall = {name: (turn.T @ getattr(weights, name)).flip(1) for name in ("W_Q", "W_K", "W_V")}
    tall |= {"W_O": (weights.W_O @ turn).flip(1), "W_U": turn.T @ weights.W_U}
    rows = {"W_E": weights.W_E @ turn, "W_pos": weights.W_pos @ turn}
    return replace(model, name="turned", run=None, weights=replace(weights, **tall, **rows))


def test_a_model_is_its_own_counterpart_and_differs_from_itself_by_nothing(model):
    *circuits, changed = of_models(model, model)
    for section in circuits:
        pairs = section.shown
        assert pairs["head of A"].tolist() == pairs["head of B"].tolist()
        assert pairs["correlation"].tolist() == pytest.approx([1.0] * 4)
        assert (pairs["difference"] == 0).all()
    assert (changed.frame["difference"].dropna() == 0).all()


def test_the_head_that_fine_tuning_changed_is_first_and_its_pair_is_found_with_its_value(planted):
    before, tuned, tokens = planted
    OV, QK, changed = of_models(before, tuned)
    assert OV.shown["head of A"].iloc[0] == OV.shown["head of B"].iloc[0] == "1.1"
    assert (OV.shown["difference"] > 0).tolist() == [True, False, False, False]
    assert (QK.shown["difference"] == 0).all()
    assert set(changed.shown.loc[changed.shown["difference"].abs() > 1e-9, "head of A"]) == {"1.1"}
    _, OV, QK, _ = of_heads(before, tuned, "1.1", None, 3, filters=[])
    first = OV.frame[OV.frame["end"] == "top"].iloc[0]
    assert first[["row_token", "column_token"]].tolist() == tokens.tolist()
    assert first["value"] == pytest.approx(VALUE, rel=1e-5)
    assert first["b"] - first["a"] == pytest.approx(VALUE, rel=1e-5)
    assert "equal" in QK.note


def test_heads_in_another_order_basis_and_width_are_matched(model):
    turned = in_another_guise(model)
    for section in list(of_models(model, turned))[:2]:
        pairs = dict(zip(section.shown["head of A"], section.shown["head of B"], strict=True))
        assert pairs == {"0.0": "0.1", "0.1": "0.0", "1.0": "1.1", "1.1": "1.0"}
        assert section.shown["share"].max() < 1e-5
    alike, *differences, _ = of_heads(model, turned, "0.1", None, 2, filters=[])
    assert alike.shown["head of B"].iloc[0] == "0.0"
    assert alike.shown[["OV q", "QK q"]].iloc[0].max() < 0.01
    for section in differences:
        assert section.frame["value"].abs().max() < 1e-4


def test_the_difference_of_two_heads_is_that_of_dense_circuits(model, planted):
    before, (one, other) = planted[0], ((1, 0), (0, 1))
    (section,) = [
        s for s in of_heads(model, before, "1.0", "0.1", 4, filters=[]) if s.title.startswith("OV difference")
    ]
    dense = [w.W_E @ w.W_V[head] @ w.W_O[head] @ w.W_U for w, head in ((model.weights, one), (before.weights, other))]
    largest = (dense[1] - dense[0]).flatten().topk(4).values
    top = section.frame[section.frame["end"] == "top"]
    np.testing.assert_allclose(top["value"], largest, rtol=1e-4)
    np.testing.assert_allclose(top["b"] - top["a"], top["value"], rtol=1e-6)


def test_models_are_compared_over_the_tokens_that_both_have(model):
    """One that knows every second token of the other, and those in another order."""
    ids = torch.arange(model.weights.d_vocab).flip(0)[::2]
    fewer = in_another_guise(replace(model, weights=model.weights.of_tokens(ids)))
    fewer.__dict__["shown"] = model.shown[ids]
    fewer.__dict__["vocabulary"] = model.vocabulary.iloc[ids.numpy()].reset_index(drop=True)
    alike, OV, _, _ = of_heads(model, fewer, "1.0", None, 2, filters=[])
    assert alike.note.endswith("over 136 tokens that both have")
    assert alike.shown["head of B"].iloc[0] == "1.1"
    assert alike.frame["correlation"].max() == pytest.approx(1)
    assert OV.frame["value"].abs().max() < 1e-4


def test_heads_of_independent_models_are_at_chance(model):
    """The other head's matrices are Gaussian: p is uniform, so that half of many lie below one half."""
    found = []
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        drawn = {
            name: torch.randn(getattr(model.weights, name).shape, generator=generator)
            for name in ("W_Q", "W_K", "W_V", "W_O")
        }
        other = replace(model, run=None, weights=replace(model.weights, **drawn))
        found.append(next(of_heads(model, other, "1.0", "0.0", 1, filters=[])).frame["p"])
    p = pd.concat(found)
    assert p.mean() == pytest.approx(0.5, abs=5 * (1 / 12 / len(p)) ** 0.5)
    assert (p < 0.05).mean() < 0.05 + 5 * (0.05 / len(p)) ** 0.5


def test_too_few_tokens_in_common_are_refused(model, gpt2):
    with pytest.raises(ValueError, match="different vocabularies, with"):
        next(of_models(model, gpt2))


def test_changes_of_scores_have_intervals_where_both_runs_read_the_same_sentences(model, monkeypatch):
    """Sentences' differences 0.1, 0.2, 0.3 of equal weight: mean 0.2, standard error 0.1 / sqrt(3)."""
    values = {(1, 1): [0.5, 0.2, 0.4], (1, 0): [0.6, 0.4, 0.7]}
    rows = [(*head, n, value) for head, of_head in values.items() for n, value in enumerate(of_head)]
    frame = pd.DataFrame(rows, columns=["layer", "head", "sentence", "value"])
    frame = frame.assign(metric="induction", definition="mass", eval_set="text", weight=4.0)
    frame = frame.assign(period=pd.array([pd.NA] * len(frame), dtype="Int64"))
    tables = {"sentence_scores": frame, "head_scores": frame[frame["sentence"] == 0].assign(value=[1 / 3, 1.7 / 3])}
    monkeypatch.setattr(type(model.run), "rows", lambda self, name, **which: tables[name])
    row = scores(model, model, PARTNERS).frame.iloc[0]
    half = 4.302653 * 0.1 / 3**0.5
    np.testing.assert_allclose(row[["a", "difference"]].astype(float), [1 / 3, 0.7 / 3])
    assert [row["lo"], row["hi"]] == pytest.approx([0.2 - half, 0.2 + half], rel=1e-5)
    elsewhere = replace(model, run=replace(model.run, ids={**model.run.ids, "probe": "other"}))
    assert scores(model, elsewhere, PARTNERS).frame["lo"].isna().all()


def test_claims_that_differ_come_first(made, monkeypatch):
    verdicts = iter([["reproduced", "undecided"], ["reproduced", "reproduced"]])

    def table(self, name):
        return pd.DataFrame(
            {"experiment": "base", "claim": ["copying", "induction"], "value": 1.0, "verdict": next(verdicts)}
        )

    monkeypatch.setattr(Study, "table", table)
    (section,) = of_studies(str(made.study), str(made.study))
    assert section.shown["claim"].tolist() == ["induction", "copying"]
    assert section.note == "1 of 2 verdicts differ"
