from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch.testing import assert_close

from pipeline.circuits.causes.paths import path_names, path_outputs
from pipeline.circuits.definitions.registry import DEFINITIONS
from pipeline.circuits.transformer.forward import forward
from pipeline.frames.tensors import sequences_of

DEMO = " We dog eating ice cream"


def same(answer, table, key, columns=None, **tolerance):
    """Hold an answer against the rows that the stage wrote."""
    columns = columns or [name for name in table if name in answer]
    sides = [frame[columns].sort_values(key).reset_index(drop=True) for frame in (answer, table)]
    assert len(sides[0]) > 0
    assert_frame_equal(*sides, check_dtype=False, **tolerance)


def rows_of(table, **which):
    for name, value in which.items():
        table = table[table[name] == value]
    return table


@pytest.mark.parametrize("circuit", ["OV", "QK"])
@pytest.mark.parametrize("name", ["0.1", "1.0"])
def test_pairs_are_those_of_vocab_pairs(made, model, name, circuit):
    layer, head = map(int, name.split("."))
    wanted = rows_of(made.tables["vocab_pairs"], layer=layer, head=head, circuit=circuit)
    of_sides = [f"{side}_{what}" for side in ("row", "column") for what in ("id", "token", "occurrences")]
    columns = ["end", "rank", *of_sides, "value", "z"]
    same(model.head(name).top_pairs(circuit, 6), wanted, ["end", "rank"], columns, rtol=1e-9)


def test_pairs_can_be_read_behind_the_first_feed_forward_part(gpt2):
    plain, behind = (gpt2.head("1.0").top_pairs("OV", 3, emb_modes=[mode]) for mode in ("embedding", "after_mlp0"))
    assert set(plain["emb_mode"]) | set(behind["emb_mode"]) == {"embedding", "after_mlp0"}
    assert not np.allclose(plain["value"], behind["value"])


@pytest.mark.parametrize("circuit", ["OV", "QK"])
def test_eigenvalues_and_singular_values_are_those_of_spectra(made, model, circuit):
    wanted = rows_of(made.tables["spectra"], layer=1, head=1, circuit=circuit).sort_values("index")
    one = model.head("1.1")
    found = one.eigenvalues(circuit)
    np.testing.assert_allclose(found.real, wanted["real"], atol=1e-9 * float(found.abs().max()))
    np.testing.assert_allclose(found.imag.abs(), wanted["imaginary"].abs(), atol=1e-9 * float(found.abs().max()))
    np.testing.assert_allclose(one.spectrum(circuit).singular_values, wanted["singular_value"], rtol=1e-9)


def test_units_are_those_of_vocab_units(made, model):
    units = made.tables["vocab_units"]
    wanted = rows_of(units, layer=0, head=1, unit=2)
    wanted = wanted[~wanted["matrix"].str.contains("SVD")]
    columns = ["matrix", "end", "rank", "token_id", "token", "value"]
    same(model.head("0.1").dimension(2, 4), wanted, ["matrix", "end", "rank"], columns, rtol=1e-9)
    wanted = rows_of(units, layer=0, head=1, unit=1)
    wanted = wanted[wanted["matrix"].str.startswith("OV_SVD")]
    same(model.head("0.1").direction("OV", 1, 4), wanted, ["matrix", "end", "rank"], columns, rtol=1e-7)


def test_terms_are_those_of_term_maps(made, model):
    wanted = rows_of(made.tables["term_maps"], layer=1, head=0)
    same(model.head("1.0").terms(DEMO), wanted, ["query_source", "key_source", "query", "key"], rtol=1e-9)


def test_finer_terms_add_up_to_the_same_scores(model):
    fine = model.head("1.0").terms(DEMO, fine=True)
    parts = fine[fine["query_source"] != "total"].groupby(["query", "key"])["score"].sum()
    whole = fine[fine["query_source"] == "total"].set_index(["query", "key"])["score"]
    np.testing.assert_allclose(parts, whole, rtol=1e-9)
    assert {"token", "0.0", "0.1", "position"} <= set(fine["query_source"])


def test_the_pattern_is_that_of_term_maps(made, model):
    wanted = rows_of(made.tables["term_maps"], layer=1, head=0, query_source="total")
    pattern = model.head("1.0").pattern(DEMO)
    found = pattern[torch.tensor(wanted["query"].to_numpy()), torch.tensor(wanted["key"].to_numpy())]
    np.testing.assert_allclose(found, wanted["pattern"], atol=1e-6)
    assert_close(pattern, model.trace(DEMO).pattern[0, 1, 0])


def test_virtual_heads_are_those_of_virtual_heads(made, model):
    wanted = rows_of(made.tables["virtual_heads"], src_head="0.1", dst_head="1.0")
    found = model.virtual("0.1", "1.0", DEMO, 10)
    same(found, wanted, ["kind", "position", "rank"], rtol=1e-6)


def test_composition_is_that_of_head_pairs(made, model):
    pairs = rows_of(made.tables["head_pairs"], definition="frobenius")
    wanted = pairs[(pairs["src_head"] == 1) & (pairs["src_layer"] == 0)]
    key = ["dst_layer", "dst_head", "metric"]
    same(model.head("0.1").composition(), wanted, key, [*key, "src_layer", "src_head", "value", "chance"], rtol=1e-9)


def test_composition_of_a_later_head_is_that_of_head_pairs(made, model):
    pairs = rows_of(made.tables["head_pairs"], definition="frobenius", dst_layer=1, dst_head=0)
    key = ["src_layer", "src_head", "metric"]
    same(model.head("1.0").composition(), pairs, key, [*key, "dst_layer", "dst_head", "value", "chance"], rtol=1e-9)


def test_a_few_definitions_measure_what_all_do(model):
    few = [DEFINITIONS[name] for name in (("copying", "diagonal_z"), ("copying", "top1"), ("induction", "mass"))]
    found, every = model.head("1.1").measured(few), model.head("1.1").measured()
    key = ["metric", "definition", "eval_set", "period"]
    assert set(zip(found["metric"], found["definition"], strict=True)) == {entry.name for entry in few}
    same(found, every.merge(found[key]), key, [*key, "value", "chance", "null_mean", "z"], rtol=1e-9)


def test_scores_of_weights_are_those_of_head_scores(made, model):
    wanted = rows_of(made.tables["head_scores"], layer=1, head=1, eval_set="weights")
    found = rows_of(model.head("1.1").measured(), eval_set="weights")
    wanted = wanted[wanted["metric"] != "relation"]  # of words, each its own passes through the vocabulary
    key = ["metric", "definition"]
    same(found, wanted, key, [*key, "layer", "head", "value", "chance", "ideal"], rtol=1e-6)
    drawn = wanted.merge(found, on=key, suffixes=("", "_here")).query("null_kind == 'rotation'")
    assert len(drawn) >= 4
    # Other draws of the same distribution: deviations of 200 differ by some 5 %.
    np.testing.assert_allclose(drawn["null_sd_here"], drawn["null_sd"], rtol=0.3)


def test_scores_of_patterns_are_those_of_head_scores(made, model, monkeypatch):
    from pipeline.ask.model import Model, OneHead
    from pipeline.circuits.definitions.views import Tokens

    rows = sequences_of(made.sequences, "repeated_tokens", 5)
    monkeypatch.setattr(Model, "periodic", lambda self: [Tokens(rows, 1, 5)])
    wanted = rows_of(made.tables["head_scores"], layer=1, head=1, eval_set="repeated_tokens")
    found = rows_of(OneHead(model, (1, 1)).measured(), eval_set="repeated_tokens")
    written = wanted["definition"].eq("olsson") | wanted["metric"].isin(["entropy", "inactive", "direct_copying"])
    wanted = wanted[~written]  # of a whole forward pass and what heads write in it
    key = ["metric", "definition"]
    same(found, wanted, key, [*key, "period", "value", "chance", "ideal"], rtol=1e-5)


def test_a_studys_own_rows_are_given_where_it_has_them(made, model):
    found = model.head("0.0").scores()
    same(found, rows_of(made.tables["head_scores"], layer=0, head=0), ["metric", "definition", "eval_set", "period"])
    assert model.head("0.0").roles().empty  # no such table there


def test_shares_are_those_of_attention_terms(made, model):
    same(
        model.head("1.0").shares(),
        rows_of(made.tables["attention_terms"], layer=1, head=0),
        ["query_source", "key_source", "statistic", "component", "keys"],
    )
    here = model.head("1.0").shares(DEMO)
    total = here.query("keys == 'all' and statistic == 'share' and query_source == 'total'")["value"]
    assert total.item() == pytest.approx(1)
    streams = here.query(
        "keys == 'all' and statistic == 'share' and query_source in ('stream', 'position') "
        "and key_source in ('stream', 'position')"
    )
    assert len(streams) == 4
    assert streams["value"].sum() == pytest.approx(1)


def test_parts_and_paths_sum_to_the_difference_of_logits(model):
    prompt, answer, against = " We dog", "t", "e"
    logits = model.trace(prompt).logits[0, -1].double()
    difference = float(logits[model.token(answer)] - logits[model.token(against)])
    sums = model.logits(prompt, answer, against).groupby("kind")["logit"].sum()
    assert sums["part"] == pytest.approx(difference, abs=1e-5)
    assert sums["path"] == pytest.approx(difference, abs=1e-5)


def test_neurons_are_their_dense_products(gpt2):
    found = gpt2.neuron("2.7", 3)
    lens, _ = gpt2.read()
    components = {
        "FF_key": lens.weights.W_E @ lens.weights.ff_keys[2, 7],
        "FF_value": lens.weights.ff_values[2, 7] @ lens.weights.W_U,
    }
    for matrix, component in components.items():
        top = found[(found["matrix"] == matrix) & (found["end"] == "top")].sort_values("rank")
        values, ids = component.topk(3)
        assert top["token_id"].tolist() == ids.tolist()
        np.testing.assert_allclose(top["value"], values, rtol=1e-4)


def test_vectors_are_read_on_both_sides(gpt2):
    vector = gpt2.weights.W_E[4]
    found = gpt2.vector(vector, 2)
    read = found[(found["matrix"] == "W_E") & (found["end"] == "top")].iloc[0]
    assert read["value"] == pytest.approx(float((gpt2.weights.W_E @ vector).max()), rel=1e-5)
    with pytest.raises(ValueError, match="the stream has 24 numbers"):
        gpt2.vector(vector[:3])


def test_patching_everything_recovers_everything(model):
    clean, corrupt = " We dog eating", " We dog walk"
    n = model.tokens(clean).shape[1]
    corrupt = " We dog" + "".join(" w" for _ in range(20))
    ids = model.tokens(corrupt)[0, :n]
    corrupt = model.tokenizer.decode(ids[1:].tolist())
    assert model.tokens(corrupt).shape[1] == n
    frame = model.patch(clean, corrupt, "t", "e")
    last = rows_of(frame, kind="stream", layer=2, position=n - 1)
    assert last["recovered"].item() == pytest.approx(1, abs=1e-4)
    before = rows_of(frame, kind="stream", layer=2)
    assert before[before["position"] < n - 1]["recovered"].abs().max() < 1e-6
    assert set(frame["kind"]) == {"head", "stream", "edge"}
    one = rows_of(frame, kind="head", layer=1, head=0)["difference"].item()
    weights, runs = model.weights, [forward(model.weights, model.tokens(text)) for text in (clean, corrupt)]
    moved = runs[1].resid[0, 2, -1] + (runs[0].z[0, 1, 0, -1] - runs[1].z[0, 1, 0, -1]) @ weights.W_O[1, 0]
    logits = moved @ weights.W_U
    assert one == pytest.approx(float(logits[model.token("t")] - logits[model.token("e")]), abs=1e-4)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (lambda model: model.head("2.0"), "2.0: no such head; .* has layers 0 to 1 with heads 0 to 1"),
        (lambda model: model.head("1"), "1: write a head as layer.head"),
        (lambda model: model.neuron("0.0"), "has no feed-forward parts"),
        (lambda model: model.token(" We dog"), "is .* tokens"),
        (lambda model: model.virtual("1.0", "0.0", " We"), "must be in a later layer"),
        (lambda model: model.head("0.0").top_pairs("VO"), "VO: is no circuit"),
        (lambda model: model.head("0.0").dimension(8), "has dimensions 0 to 7"),
        (lambda model: model.head("0.0").direction("OV", 9), "has directions 0 to 7"),
        (lambda model: model.patch(" We dog", " We", "t", "e"), "write them equally long"),
        (lambda model: model.patch(" We", " We", "t", "e"), "nothing can be recovered"),
        (lambda model: model.tokens(""), "write some text"),
        (lambda model: model.trace(" walk" * 20), "the model has 16 positions"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(model, asked, told):
    with pytest.raises(ValueError, match=told):
        asked(model)


def test_ids_are_written_as_numbers(gpt2):
    assert gpt2.tokens("3 5").tolist() == [[3, 5]]
    with pytest.raises(ValueError, match="write numbers below 29"):
        gpt2.tokens("3 walk")
    assert gpt2.tokens().shape[1] == gpt2.n_ctx == 32


def test_virtual_heads_are_read_behind_norms_whose_scale_is_held(gpt2):
    promoted = gpt2.virtual("0.0", "1.0", "3 5 7", k=2).query("kind == 'virtual'")
    held = gpt2.held("3 5 7")
    logits = path_outputs_through(held, 0, 0)
    for position, rows in promoted.groupby("position"):
        assert rows["token_id"].tolist() == logits[position].topk(2).indices.tolist()


def path_outputs_through(held, source, reader):
    """What the path through two heads of the first two layers adds to the logits, [position, d_vocab]."""
    later = ["direct"] * (held.weights.n_layers - 2)
    place = path_names(held.weights).index((f"0.{source}", f"1.{reader}", *later))
    return held.logits(path_outputs(held))[0, place]


def test_the_normaliser_divides_by_mean_responses(gpt2):
    plain, divided = (gpt2.neuron("0.3", 29, normaliser=name) for name in ("none", "notebook"))
    assert isinstance(plain, pd.DataFrame)
    means = gpt2.read(normaliser="notebook")[0].means["FF_key"]
    key = ["matrix", "end", "token_id"]
    both = plain.merge(divided, on=key)
    both = both[(both["matrix"] == "FF_key") & (both["end"] == "top")]
    np.testing.assert_allclose(both["value_x"] / means[both["token_id"].tolist()].numpy(), both["value_y"], rtol=1e-4)


def test_scores_of_all_heads_are_those_of_each(model):
    found = replace(model, run=None).scores()
    own = found[(found["layer"] == 1) & (found["head"] == 1)]
    columns = ["metric", "definition", "eval_set", "period"]
    same(own, model.head("1.1").measured(), columns, [*columns, "value", "chance", "ideal"], rtol=1e-6)
    of_study = model.scores()
    assert "null_mean" in of_study
    assert len(of_study) > len(found)
