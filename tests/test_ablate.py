import math
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
import torch
from hand_wired import COPY, D_VOCAB, LENGTH, PERIOD, induction_network, tokens
from ranked_scores import scores
from weights_frame import weights_frame

from pipeline import ablate
from pipeline.circuits.causes.ablation import METHODS, every_ablation
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.losses import token_losses
from pipeline.circuits.transformer.weights import Weights
from pipeline.claims.best_heads import SCORES
from pipeline.frames.tensors import sequences_of
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.ablate import AblateSettings
from pipeline.tables.ablate import (
    ABLATIONS,
    CONTRIBUTIONS,
    EDGES,
    LOGIT_LENS,
    PATHS,
    SENTENCE_ORDERS,
    SENTENCE_SETS,
    SET_ABLATIONS,
    SET_CURVES,
    TERM_ORDERS,
)
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.score import HEAD_PAIRS, HEAD_SCORES, SENTENCE_SCORES

WRITES = (
    ABLATIONS,
    SET_ABLATIONS,
    SET_CURVES,
    SENTENCE_SETS,
    PATHS,
    TERM_ORDERS,
    SENTENCE_ORDERS,
    EDGES,
    CONTRIBUTIONS,
)
WRITES += (LOGIT_LENS,)

SETTINGS = {
    "seed": 0,
    "eval_sets": ["repeated_text", "repeated_tokens"],
    "methods": list(METHODS),
    "sentences": 3,
    "positions": None,
    "batch": 2,
    "heads": 64,
    "best_heads": 0,
    "set_eval_sets": ["repeated_text", "repeated_tokens"],
    "set_sentences": 2,
    "set_sizes": [1, 2, 3],
    "random_sets": 2,
    "random_candidates": 8,
    "role_attention": 0.5,
    "role_copying": 0.5,
    "layer_pairs": [[0, 1]],
    "edge_heads": 8,
    "edge_sentences": 2,
    "path_eval_sets": ["repeated_text", "repeated_tokens"],
    "path_sentences": 2,
    "most_paths": 9,
    "order_pairs": 2,
    "confidence": 0.95,
    "resamples": 40,
    "threads": 1,
}


def sequences():
    """Two sets of the same sentences; in repeated_text the last token of each block counts as no copy."""
    ids = tokens(4).tolist()
    rows = []
    for eval_set, period in (("repeated_text", None), ("repeated_tokens", PERIOD), ("repeated_tokens", PERIOD + 1)):
        for sentence, row in enumerate(ids):
            for position, token in enumerate(row):
                copy = "second_copy" if position > PERIOD else "first_copy" if position else "other"
                novel = eval_set == "repeated_text" and position % PERIOD == 0
                rows.append((eval_set, period, sentence, position, token, f"t{token}", "other" if novel else copy))
    names = ["eval_set", "period", "sentence", "position", "token_id", "token", "token_class"]
    return pd.DataFrame(rows, columns=names, dtype=object).astype({"period": "Int64"})


def composed(weights):
    """Heads compose the more, the larger their numbers; of two layers that were followed."""
    rows = [
        (layers[0], source, layers[1], reader, metric, source + reader)
        for layers in combinations(range(weights.n_layers), 2)
        for source, reader in product(range(weights.n_heads), repeat=2)
        for metric in ("K_composition", *["K_circuit"] * (layers[1] == weights.n_layers - 1))
    ]
    frame = pd.DataFrame(rows, columns=["src_layer", "src_head", "dst_layer", "dst_head", "metric", "value"])
    frame = frame.assign(definition="frobenius", eval_set="weights", confidence=0.95, source="", gauge_invariant=True)
    return frame.reindex(columns=HEAD_PAIRS.names).astype({"value": float})


@pytest.fixture
def run(tmp_path):
    names = ("weights", "sequences", "vocabulary", "head_scores", "sentence_scores", "head_pairs")
    inputs = Paths([tmp_path / f"{name}.parquet" for name in names])
    outputs = Paths([tmp_path / f"{table.name}.parquet" for table in WRITES])
    write(SEQUENCES, sequences(), inputs)
    names, role = [f"t{token}" for token in range(D_VOCAB)], ["begin"] + ["text"] * (D_VOCAB - 1)
    write(VOCABULARY, pd.DataFrame({"token_id": range(D_VOCAB), "token": names, "text": names, "role": role}), inputs)

    def run_on(weights, known=None, **settings):
        write(WEIGHTS, weights_frame(weights), inputs)
        for table, rows in zip((HEAD_SCORES, SENTENCE_SCORES), scores(weights, known or {}), strict=True):
            write(table, rows, inputs)
        write(HEAD_PAIRS, composed(weights), inputs)
        ablate.run(AblateSettings.parse(SETTINGS | settings), inputs, outputs)
        return {table.name: read(table, outputs) for table in WRITES}

    return run_on


def network(n_layers=2, **tensors):
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    named = {name: random(n_layers, 2, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    named |= {"W_E": random(D_VOCAB, 8), "W_U": random(8, D_VOCAB), "W_pos": random(LENGTH, 8)}
    return Weights(positions="queries_and_keys", W_O=random(n_layers, 2, 4, 8), **(named | tensors))


def test_every_head_edge_path_and_order_is_there(run):
    tables = run(network())
    per_set = tables["ablations"].groupby(["eval_set", "token_class"]).size()
    assert per_set["repeated_text"].to_dict() == dict.fromkeys(("all", "novel", "first_copy", "second_copy"), 4 * 5)
    assert per_set["repeated_tokens"].to_dict() == dict.fromkeys(("all", "first_copy", "second_copy"), 4 * 5)
    assert set(tables["ablations"]["period"].dropna()) == {PERIOD}  # the shortest
    assert (tables["edges"].groupby(["eval_set", "token_class"]).size() == 2 * 3 * 2).all()
    assert (tables["paths"].groupby(["eval_set", "token_class"]).size() == 9).all()
    sentences = tables["sentence_orders"].groupby(["eval_set", "order"])["sentence"].nunique()
    assert sentences.to_dict() == {
        (eval_set, order): SETTINGS["sentences"] for eval_set in SETTINGS["eval_sets"] for order in (0, 1, 2)
    }
    orders = tables["term_orders"].groupby(["eval_set", "token_class"])
    assert orders["order"].apply(lambda found: found.dropna().tolist()).map(lambda found: found == [0, 1, 2]).all()
    assert (orders["group"].count() == 4).all()
    assert (tables["ablations"].query("token_class == 'all'")["n"] == 3 * (LENGTH - 1)).all()
    assert (tables["paths"].query("token_class == 'all'")["n"] == 2 * (LENGTH - 1)).all()


def test_the_induction_network_is_read_as_it_was_wired(run):
    tables = run(induction_network())
    ablations = tables["ablations"].set_index(["layer", "head", "method", "eval_set", "token_class"]).sort_index()
    copied = ablations.xs(("repeated_text", "second_copy"), level=("eval_set", "token_class"))["difference"]
    known = math.log(D_VOCAB) - math.log(math.exp(COPY) + D_VOCAB - 1) + COPY
    # In repeated_text, this class begins with the first token that nothing tells, and that removal may help.
    paths = tables["paths"].query("eval_set == 'repeated_text' and token_class == 'second_copy'")
    assert copied[1, 0, "zero"] == pytest.approx(copied[1, 0, "pattern_preserving"])
    assert 0 < copied[1, 0, "zero"] < known
    assert copied[0, 0, "pattern_preserving"] == pytest.approx(0, abs=1e-6)
    assert copied[0, 0, "zero"] > 0.5 * known
    np.testing.assert_allclose(copied.xs(1, level="head"), 0, atol=1e-6)
    assert paths.set_index(["l0", "l1"])["loss_removed"].idxmax() == ("direct", "1.0")

    edges = tables["edges"].query("token_class == 'all' and eval_set == 'repeated_tokens'")
    cut = edges.set_index(["src_head", "dst_head", "kind"])["induction_change"]
    assert cut.idxmin() == (0, 0, "K")
    np.testing.assert_allclose(cut.drop((0, 0, "K")), 0, atol=1e-6)
    assert tables["edges"].query("token_class != 'all'")["induction_change"].isna().all()


def test_what_followed_the_begin_token_is_no_target_where_it_also_ends_a_document(run, tmp_path):
    ended = sequences().query("sentence < 2 and position < 6 and eval_set == 'repeated_text'")
    ended.loc[ended["position"] == 4, "token_id"] = 0  # nothing else comes twice
    write(SEQUENCES, ended, Paths([tmp_path / "sequences.parquet"]))
    edges = run(network(), eval_sets=["repeated_text"])["edges"]
    assert len(edges) > 0
    assert edges["induction_change"].isna().all()


def test_what_is_shared_out_is_the_fall_from_even_guessing(run):
    tables = run(network())
    where = ["eval_set", "token_class"]
    orders = tables["term_orders"]
    model = orders[orders["order"] == 2].set_index(where)["loss"]
    fall = (math.log(D_VOCAB) - model).sort_index()
    by_order = orders.dropna(subset="order").groupby(where)["gain"].sum()
    by_group = orders.dropna(subset="group").groupby(where)["gain"].sum()
    by_path = tables["paths"].groupby(where)["shapley"].sum()
    for shared in (by_order, by_group, by_path):
        pd.testing.assert_series_equal(shared.sort_index(), fall, check_names=False, rtol=1e-5)
    alone = orders.dropna(subset="group")
    np.testing.assert_allclose(alone["loss"], math.log(D_VOCAB) - alone["first"])
    direct = alone["group"] == "direct"
    assert alone.loc[direct, "after_direct"].isna().all()
    assert alone.loc[~direct, "after_direct"].notna().all()
    assert orders.dropna(subset="order")[["first", "after_direct", "last"]].isna().all(axis=None)


def test_edges_are_cut_between_the_heads_that_compose_most_in_the_layers_that_were_followed(run):
    every = run(network(3), layer_pairs=None)["edges"]
    assert set(zip(every["src_layer"], every["dst_layer"], strict=True)) == {(0, 2), (1, 2)}
    few = run(network(3), layer_pairs=[[0, 2]], edge_heads=1)["edges"]
    assert set(zip(few["src_head"], few["dst_head"], strict=True)) == {(1, 1)}
    shared = every.query("src_layer == 0 and src_head == 1 and dst_head == 1")
    pd.testing.assert_frame_equal(few.reset_index(drop=True), shared.reset_index(drop=True))


def test_some_methods_at_some_positions_are_what_all_say_of_these(run):
    few = run(network(), methods=["mean"], positions=3)["ablations"]
    assert set(few["method"]) == {"mean"}
    assert (few.query("token_class == 'all'")["n"] == 3 * 3).all()
    weights, tokens = network(), sequences_of(sequences(), "repeated_text")[:3]
    [losses], whole = every_ablation(weights, tokens, [(((1, 0),), "mean")], torch.Generator().manual_seed(0), 2)
    of_head = few.query("layer == 1 and head == 0 and eval_set == 'repeated_text' and token_class == 'all'")
    spread = 1 + torch.arange(3) * (LENGTH - 1) // 3
    assert of_head["difference"].item() == pytest.approx((losses - whole)[:, spread].mean().item(), rel=1e-5)


def test_a_whole_model_s_loss_is_the_same_in_every_table(run):
    tables = run(network(), edge_sentences=3, path_sentences=3)
    where = ["eval_set", "token_class"]
    orders = tables["term_orders"]
    model = orders[orders["order"] == 2].set_index(where)["loss"]
    for name in ("ablations", "edges"):
        whole = tables[name]["loss"] - tables[name]["difference"]
        expected = pd.MultiIndex.from_frame(tables[name][where]).map(model)
        np.testing.assert_allclose(whole, expected.astype(float), rtol=1e-5)


def test_one_layer_has_no_edges_and_its_paths_pass_no_second(run):
    tables = run(network(1))
    assert tables["edges"].empty
    assert set(tables["paths"]["l1"]) == {"direct"}
    assert set(tables["paths"]["l0"]) == {"direct", "0.0", "0.1"}
    assert set(tables["term_orders"]["group"].dropna()) == {"direct", "layer_0"}


def test_models_whose_paths_do_not_add_up_are_ablated_all_the_same(run, capsys):
    after = {f"{norm}_gain": torch.ones(2, 8) for norm in ("ln1", "ln2")}
    after |= {"ff_keys": torch.ones(2, 3, 8), "ff_values": torch.ones(2, 3, 8)}
    tables = run(network(**after, ln_embed_gain=torch.ones(8), activation="relu", norm_place="after"))
    assert tables["paths"].empty
    assert tables["term_orders"].empty
    assert tables["contributions"].empty
    assert set(tables["logit_lens"]["depth"]) == {0, 1, 2}
    assert len(tables["ablations"]) > 0
    assert len(tables["edges"]) > 0
    assert "no sum over parts or paths" in capsys.readouterr().out


def test_the_parts_of_a_model_with_norms_sum_to_its_logits(run):
    """Norms with gains, feed-forward parts and biases: nothing but the scales is held."""
    generator = torch.Generator().manual_seed(2)
    shapes = {"ln1_gain": (2, 8), "ln2_gain": (2, 8), "ln_final_gain": (8,), "ln_final_bias": (8,), "b_O": (2, 8)}
    shapes |= {"ff_keys": (2, 3, 8), "ff_values": (2, 3, 8), "ff_value_bias": (2, 8)}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    weights = network(**tensors, activation="relu")
    tables = run(weights)
    contributions = tables["contributions"]
    assert contributions.groupby("kind").size().to_dict() == {"token": 7, "head": 28, "feed_forward": 14, "bias": 7}
    summed = contributions.query("token_class == 'all'").groupby("eval_set")["contribution"].sum()
    sentences = tokens(4)[:3]
    logits = forward(weights.double(), sentences).logits[:, :-1]
    own = (logits - logits.mean(-1, keepdim=True)).gather(-1, sentences[:, 1:, None]).mean()
    np.testing.assert_allclose(summed, float(own), rtol=1e-5)
    assert (tables["paths"].groupby(["eval_set", "token_class"]).size() == 9).all()


def test_the_lens_at_the_end_is_the_model_and_before_it_the_direct_path(run):
    tables = run(network(), path_sentences=3)
    where = ["eval_set", "token_class"]
    lens, orders = (tables[name].set_index(where).sort_index() for name in ("logit_lens", "term_orders"))
    for order, depth in ((2, 2), (0, 0)):
        expected = orders.loc[orders["order"] == order, "loss"]
        pd.testing.assert_series_equal(lens.loc[lens["depth"] == depth, "loss"], expected, rtol=1e-5)
    last = lens[lens["depth"] == 2]
    np.testing.assert_allclose(last["divergence"], 0, atol=1e-6)
    assert (last["agreement"] == 1).all()
    assert (lens.loc[lens["depth"] == 0, "divergence"] > 0.01).all()


def test_too_many_paths_are_not_listed_but_orders_are(run, capsys):
    tables = run(network(3))
    assert tables["paths"].empty
    assert set(tables["term_orders"]["order"]) == {0, 1, 2, 3}
    assert "27 paths" in capsys.readouterr().out
    assert tables["term_orders"]["group"].isna().all()


def test_paths_through_many_layers_are_not_even_counted_one_by_one(run, capsys):
    tables = run(network(20), heads=2)
    assert tables["paths"].empty
    assert set(tables["term_orders"]["order"]) == set(range(21))
    assert str(3**20) in capsys.readouterr().out


REDUNDANT = {"induction": {(1, 0): 0.9, (1, 1): 0.8, (1, 2): 0.7}}


def left(copies):
    """The mean loss on a second copy that so many copies of an induction head foretell, all but its first token.

    Of that, the heads know no more than that it was met before: they look everywhere alike.
    """
    told = math.log(math.exp(copies * COPY) + D_VOCAB - 1) - copies * COPY
    seen, each = PERIOD + 1, copies * COPY / (PERIOD + 1)
    met = math.log(seen * math.exp(each) + D_VOCAB - seen) - each
    return ((PERIOD - 1) * told + met) / PERIOD


def test_of_redundant_heads_none_matters_until_all_are_gone(run):
    tables = run(induction_network(copies=3), REDUNDANT, set_sizes=[1, 2, 3, 5])
    rows = tables["set_ablations"].query("eval_set == 'repeated_tokens' and role == 'induction'")
    copied = rows[rows["token_class"] == "second_copy"].set_index(["kind", "size", "draw"])
    ranked = copied.loc["ranked"].droplevel("draw")
    effects = [left(3 - gone) - left(3) for gone in (1, 2, 3)]
    np.testing.assert_allclose(ranked["difference"], [*effects, effects[-1]], rtol=1e-5)
    assert ranked["heads"].tolist()[:3] == ["1.0", "1.0 1.1", "1.0 1.1 1.2"]
    # All that layer 1 does is done by the three; with a head of layer 0, both layers are the bound.
    np.testing.assert_allclose(ranked["share"], [*(effect / effects[-1] for effect in effects), 1], rtol=1e-5)
    role = copied.loc["role"]
    assert role["heads"].tolist() == ["1.0 1.1 1.2"]
    np.testing.assert_allclose(role["difference"], effects[-1], rtol=1e-5)
    np.testing.assert_allclose(copied.loc["layers"]["difference"], effects[-1], rtol=1e-5)
    assert copied.loc["layers"].index.get_level_values("size").tolist() == [4, 8]
    # Beside one head stands the head that does nothing, or another copy.
    beside = copied.loc["random", 1].set_index("heads")["difference"]
    assert set(beside.index) <= {"1.1", "1.2", "1.3"}
    for heads, difference in beside.items():
        assert difference == pytest.approx(0 if heads == "1.3" else effects[0], abs=1e-6)

    curves = tables["set_curves"].query("eval_set == 'repeated_tokens' and role == 'induction'")
    area = curves[curves["token_class"] == "second_copy"].set_index("kind")
    assert set(area["sizes"]) == {"1 2 3 5"}
    one, two = effects[0] / effects[-1], effects[1] / effects[-1]
    assert area.loc["ranked", "area"] == pytest.approx(((one + two) / 2 + (two + 1) / 2 + 2) / 4)
    # The effect is the same in every sentence, and so is its share.
    np.testing.assert_allclose(area[["lo", "hi"]], area[["area"]].to_numpy().repeat(2, 1), rtol=1e-5)
    assert area.loc["lead", "area"] == pytest.approx(area.loc["ranked", "area"] - area.loc["random", "area"])


def test_effects_by_sentence_average_to_those_of_all(run):
    tables = run(network(), {"copying": {(0, 1): 0.6, (1, 0): 0.9}}, set_sentences=2)
    names = ["role", "kind", "size", "eval_set", "token_class"]
    sentences = tables["sentence_sets"]
    assert set(sentences["sentence"]) == {1, 3}  # those that chose no head
    sums = sentences.assign(value=sentences["value"] * sentences["weight"]).groupby(names)[["value", "weight"]].sum()
    means = tables["set_ablations"].set_index(names).sort_index().loc[sums.index]
    np.testing.assert_allclose(sums["value"] / sums["weight"], means["difference"], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(sums["weight"], means["n"])
    assert set(sums.index.get_level_values("kind")) == {"ranked", "role", "layers"}


def test_sets_are_what_a_model_without_their_output_maps_lacks_where_nothing_was_chosen(run):
    weights, judging = network(3), tokens(4)[1::2]
    tables = run(weights, {"copying": {(0, 1): 0.6, (2, 0): 0.9}}, set_sizes=[1, 2, 4])
    rows = tables["set_ablations"].query("token_class == 'all' and kind != 'random_direction'")
    whole = token_losses(forward(weights, judging).logits, judging)
    assert rows.loc[rows["kind"] == "role", "heads"].unique().tolist() == ["2.0 0.1"]
    for heads, difference in rows[["heads", "difference"]].drop_duplicates().itertuples(index=False):
        W_O = weights.W_O.clone()
        for head in heads.split():
            W_O[tuple(map(int, head.split(".")))] = 0
        losses = token_losses(forward(replace(weights, W_O=W_O), judging).logits, judging)
        assert difference == pytest.approx((losses - whole).nanmean().item(), rel=1e-5, abs=1e-4)


def test_a_role_that_nobody_plays_has_no_set_of_its_own(run):
    assert "role" not in set(run(network(), {})["set_ablations"]["kind"])


def test_heads_are_ranked_by_the_sentences_that_choose(run):
    """The others say the opposite."""
    sets = run(network(), {"first_token": {(1, 1): 0.9}})["set_ablations"]
    first = sets.query("role == 'first_token' and kind == 'ranked' and size == 1")
    assert set(first["heads"]) == {"1.1"}


def test_of_many_heads_the_best_of_each_role_come_first_the_rest_evenly_spaced(run):
    known = {"induction": {(1, 1): 0.9, (1, 0): 0.8}, "copying": {(2, 1): 0.9, (1, 1): 0.8}}
    every = {role: {(0, 1): 1.0} for role in SCORES}

    def found(weights, known, **settings):
        tables = run(weights, known, **settings)
        return tables["ablations"][["layer", "head"]].drop_duplicates().to_numpy().tolist(), tables

    heads, tables = found(network(), {}, heads=2)
    assert heads == [[0, 0], [1, 0]]
    assert set(tables["edges"]["dst_head"]) == {0}
    # Of all that score nothing, the first counts; then come the best induction and copying heads, then the others.
    heads, _ = found(network(3), every | known, heads=4, best_heads=3)
    assert heads == [[0, 0], [0, 1], [1, 1], [2, 1]]


def test_a_model_that_attends_both_ways_is_not_ablated(run, capsys):
    tables = run(network(attends="both_ways"))
    assert all(table.empty for table in tables.values())
    assert "both ways" in capsys.readouterr().out


def test_equal_inputs_give_equal_bytes(run, tmp_path):
    files = [tmp_path / f"{table.name}.parquet" for table in WRITES]
    run(network())
    first = [file.read_bytes() for file in files]
    run(network())
    assert [file.read_bytes() for file in files] == first


def test_sizes_out_of_order_are_refused():
    with pytest.raises(ValueError, match="smallest first"):
        AblateSettings.parse(SETTINGS | {"set_sizes": [2, 1]})


def test_a_pair_of_layers_out_of_order_is_refused():
    with pytest.raises(ValueError, match="earlier first"):
        AblateSettings.parse(SETTINGS | {"layer_pairs": [[1, 0]]})


def test_sets_and_paths_have_sequences_of_their_own(run):
    tables = run(network(), set_eval_sets=["repeated_text"], path_eval_sets=["repeated_tokens"])
    measured = {name: set(table["eval_set"]) for name, table in tables.items()}
    assert measured["ablations"] == measured["edges"] == {"repeated_text", "repeated_tokens"}
    assert measured["set_ablations"] == measured["sentence_sets"] == {"repeated_text"}
    assert measured["paths"] == measured["sentence_orders"] == {"repeated_tokens"}


def test_on_text_that_does_not_repeat_itself_nothing_is_ablated(run, capsys):
    tables = run(network(), eval_sets=["natural_repeats", "repeated_text"])
    assert set(tables["ablations"]["eval_set"]) == {"repeated_text"}
    assert "natural_repeats: there are no such sequences" in capsys.readouterr().out
