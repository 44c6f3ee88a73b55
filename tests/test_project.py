from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from weights_frame import weights_frame

from pipeline import project
from pipeline.circuits.transformer.forward import forward
from pipeline.circuits.transformer.weights import Weights
from pipeline.claims.of_vocabulary import neuron_has_one_subject, ov_joins_words, qk_has_one_query
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.project import ProjectSettings
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import TOKENS, VOCABULARY
from pipeline.tables.project import DISTANCE_SCORES, SPECTRA, VOCAB_COUNTS, VOCAB_PAIRS, VOCAB_UNITS

WORDS = ["[BEGIN]", " walk", "walk", "walking", " tree", "café", "--", "stone", " river", "cloud"]
WORDS_OR_PLACES = [*(word.strip() for word in WORDS), *range(3)]
D_VOCAB, D_MODEL, D_HEAD, LAYERS, HEADS, NEURONS = len(WORDS), 6, 3, 2, 2, 5
OCCURRENCES = [2, 3, 1, 0, 4, 1, 0, 1, 1, 0]  # [BEGIN] begins two documents; no other is for training
DOCUMENTS = {
    "document": range(3),
    "split": ["train", "train", "heldout"],
    "token_ids": [np.array(ids, np.int32) for ids in ([1, 1, 4, 4, 2, 5, 4], [1, 4, 7, 8], [3, 6, 6])],
}
TABLES = (VOCAB_PAIRS, VOCAB_UNITS, SPECTRA, VOCAB_COUNTS, DISTANCE_SCORES)
SETTINGS = {
    "pairs": 7,
    "unit_tokens": 4,
    "positions": False,
    "directions": 2,
    "dimensions": 2,
    "neurons": 3,
    "heads": None,
    "ln_mode": "folded",
    "emb_modes": ["embedding"],
    "distances": [0],
    "score_distances": 4,
    "normaliser": "none",
    "filters": [],
    "stem_length": 3,
    "edit_length": 4,
    "min_value": {"OV": None, "QK": None},
    "max_value": {"OV": None, "QK": None},
    "min_share": None,
    "tile_mb": 1.0,
    "parts": 1,
    "part": None,
    "threads": 1,
}


def network(feed_forward=False):
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    tall = {name: random(LAYERS, HEADS, D_MODEL, D_HEAD) for name in ("W_Q", "W_K", "W_V")}
    tensors = {
        "W_E": random(D_VOCAB, D_MODEL),
        "W_U": random(D_MODEL, D_VOCAB),
        "W_O": random(LAYERS, HEADS, D_HEAD, D_MODEL),
    }
    if feed_forward:
        tensors |= {name: random(LAYERS, NEURONS, D_MODEL) for name in ("ff_keys", "ff_values")}
        tensors |= {name: random(LAYERS, D_MODEL) for name in ("ln1_gain", "ln2_gain")} | {
            "ln_final_gain": random(D_MODEL)
        }
    return Weights("queries_and_keys", **tall, **tensors)


@pytest.fixture
def run(tmp_path):
    def run_on(weights, words=WORDS, **settings):
        inputs = Paths([tmp_path / f"{name}.parquet" for name in ("weights", "vocabulary", "tokens")])
        outputs = Paths([tmp_path / f"{table.name}.parquet" for table in TABLES])
        shown = [word.replace(" ", "Ġ") for word in words]
        role = ["begin", *["text"] * (len(words) - 1)]
        vocabulary = {"token_id": range(len(words)), "token": shown, "text": words, "role": role}
        write(VOCABULARY, pd.DataFrame(vocabulary), inputs)
        write(TOKENS, pd.DataFrame(DOCUMENTS), inputs)
        write(WEIGHTS, weights_frame(weights), inputs)
        project.run(ProjectSettings.parse(SETTINGS | settings), inputs, outputs)
        assert not (tmp_path / ".progress").exists()
        return [read(table, outputs) for table in TABLES]

    return run_on


def test_both_circuits_of_every_head_are_listed_at_both_ends(run):
    weights = network()
    pairs, units, spectra, *_ = run(weights)
    assert (pairs.groupby(["layer", "head", "circuit", "end"]).size() == 7).all()
    assert len(pairs) == LAYERS * HEADS * 2 * 2 * 7
    assert (units.groupby(["layer", "head", "matrix", "unit", "end"]).size() == 4).all()
    assert len(units) == LAYERS * HEADS * (4 * 2 + 4 * 2) * 2 * 4
    assert len(spectra) == LAYERS * HEADS * 2 * D_HEAD
    assert set(pairs["ln_mode"]) == {"raw"}
    assert set(pairs["filters"]) == {""}
    assert pairs["exact"].all()

    dense = (weights.W_E @ weights.W_Q[1, 0] @ weights.W_K[1, 0].T @ weights.W_E.T).double().numpy() / D_HEAD**0.5
    listed = pairs.query("layer == 1 and head == 0 and circuit == 'QK' and end == 'top'")
    np.testing.assert_allclose(listed["value"], np.sort(dense.ravel())[::-1][:7], rtol=1e-5)
    np.testing.assert_allclose(listed["value"], dense[listed["row_id"], listed["column_id"]], rtol=1e-5)
    np.testing.assert_allclose(listed["z"], (listed["value"] - dense.mean()) / dense.std(), rtol=1e-4)
    assert listed["row_token"].tolist() == [WORDS[row].replace(" ", "Ġ") for row in listed["row_id"]]


def test_filters_and_limits_hold_for_every_row(run):
    filters = ["only_english", "exclude_fuzzy"]
    low, high = {"OV": -0.5, "QK": None}, {"OV": 2.0, "QK": 1.0}
    pairs, units, *_ = run(network(), filters=filters, min_value=low, max_value=high)
    of_circuits = {circuit: pairs[pairs["circuit"] == circuit] for circuit in ("OV", "QK")}
    assert set(of_circuits["OV"]["filters"]) == {"only_english+exclude_fuzzy+min_value=-0.5+max_value=2"}
    assert set(of_circuits["QK"]["filters"]) == {"only_english+exclude_fuzzy+max_value=1"}
    assert of_circuits["OV"]["value"].between(-0.5, 2.0, inclusive="neither").all()
    assert of_circuits["QK"]["value"].max() < 1
    kept = {1, 2, 3, 4, 7, 8, 9}
    assert set(pairs["row_id"]) | set(pairs["column_id"]) | set(units["token_id"]) <= kept
    walks = {1, 2, 3}
    assert not (pairs["row_id"].isin(walks) & pairs["column_id"].isin(walks)).any()
    assert (pairs["row_id"] != pairs["column_id"]).all()


def test_lists_say_how_often_their_tokens_occur_and_can_leave_out_those_that_never_do(run):
    pairs, *_ = run(network())
    for side in ("row", "column"):
        assert pairs[f"{side}_occurrences"].tolist() == [OCCURRENCES[token] for token in pairs[f"{side}_id"]]
    assert (pairs["row_occurrences"] == 0).any()
    occurring, units, *_ = run(network(), filters=["occurring"])
    assert occurring["row_occurrences"].min() > 0
    assert occurring["column_occurrences"].min() > 0
    assert {3, 6, 9}.isdisjoint(units["token_id"])
    placed, *_ = run(replace(network(), positions="residual", W_pos=5 * torch.eye(3, D_MODEL)), positions=True)
    assert (placed["row_occurrences"].isna() == (placed["row_id"] >= D_VOCAB)).all()


def test_feed_forward_neurons_are_read_through_embedding_and_unembedding(run):
    weights = network(feed_forward=True)
    pairs, units, *_ = run(weights, neurons=None, unit_tokens=1)
    assert set(pairs["ln_mode"]) == {"folded"}
    neurons = units[units["head"].isna()]
    assert len(neurons) == LAYERS * NEURONS * 2 * 2
    keys = (weights.W_E @ (weights.ff_keys[1] * weights.ln2_gain[1]).T).double().numpy()
    values = (weights.ff_values[1] @ (weights.ln_final_gain[:, None] * weights.W_U)).double().numpy()
    listed = neurons[(neurons["layer"] == 1) & (neurons["end"] == "top")].set_index("matrix")["value"]
    np.testing.assert_allclose(listed["FF_key"], keys.max(0), rtol=1e-5)
    np.testing.assert_allclose(listed["FF_value"], values.max(1), rtol=1e-5)
    none = run(weights, neurons=0, dimensions=0, directions=0)[1]
    assert none.empty


def test_gains_and_normalisers_change_what_is_read(run):
    weights = network(feed_forward=True)
    tops = [
        run(weights, **change)[0]["value"].to_numpy() for change in ({}, {"ln_mode": "raw"}, {"normaliser": "notebook"})
    ]
    assert not np.allclose(tops[0], tops[1])
    assert not np.allclose(tops[0], tops[2])


def test_a_circuit_of_zeros_has_no_z(run):
    weights = network()
    weights.W_O.zero_()
    pairs, _, spectra, *_ = run(weights)
    listed = pairs.query("circuit == 'OV' and end == 'top'")
    assert listed["z"].isna().all()
    assert (listed["value"] == 0).all()
    assert (spectra.query("circuit == 'OV'")[["real", "imaginary", "singular_value"]].abs() < 1e-12).all().all()
    assert spectra.query("circuit == 'OV'")["gap"].isna().all()


def test_the_same_inputs_give_the_same_bytes(run, tmp_path):
    files = [tmp_path / f"{table.name}.parquet" for table in TABLES]
    run(network(feed_forward=True))
    first = [file.read_bytes() for file in files]
    run(network(feed_forward=True))
    assert [file.read_bytes() for file in files] == first


def test_each_dimension_of_a_heads_matrices_is_read_through_the_vocabulary(run):
    weights = network()
    _, units, *_ = run(weights, dimensions=None, unit_tokens=2)
    tokens = {name: weights.W_E @ getattr(weights, name)[1, 0] for name in ("W_Q", "W_K", "W_V")}
    tokens["W_O"] = (weights.W_O[1, 0] @ weights.W_U).T
    for matrix, components in tokens.items():
        rows = units[(units["layer"] == 1) & (units["head"] == 0) & (units["matrix"] == matrix)]
        assert rows["unit"].nunique() == D_HEAD
        for (unit, end), listed in rows.groupby(["unit", "end"]):
            values, ids = components[:, unit].sort(descending=end == "top")
            assert listed["token_id"].tolist() == ids[:2].tolist()
            np.testing.assert_allclose(listed["value"], values[:2], rtol=1e-5)


def test_counts_say_how_often_a_token_stands_on_a_side(run):
    pairs, *_, counts, _ = run(network())
    assert (counts.groupby(["layer", "head", "circuit", "end", "side"])["count"].sum() == 7).all()
    listed = pairs.query("layer == 0 and head == 1 and circuit == 'OV' and end == 'bottom'")
    found = counts.query("layer == 0 and head == 1 and circuit == 'OV' and end == 'bottom' and side == 'column'")
    expected = Counter(listed["column_id"])
    assert dict(zip(found["token_id"], found["count"], strict=True)) == expected
    assert found["token"].tolist() == [WORDS[token].replace(" ", "Ġ") for token in found["token_id"]]


def test_counts_above_a_limit_are_of_all_entries_above_it(run):
    """As the second notebook counts, with a limit of its own for either circuit, and lists longer than what passes."""
    weights = network()
    *_, counts, _ = run(weights, pairs=D_VOCAB**2, min_value={"OV": 3.0, "QK": 1.0})
    OV = weights.W_E @ weights.W_V[1, 0] @ weights.W_O[1, 0] @ weights.W_U
    QK = weights.W_E @ weights.W_Q[1, 0] @ weights.W_K[1, 0].T @ weights.W_E.T / D_HEAD**0.5
    of_head = counts.query("layer == 1 and head == 0 and end == 'top'").set_index(["circuit", "side"])
    for circuit, above in (("OV", OV > 3), ("QK", QK > 1)):
        assert 0 < above.sum() < D_VOCAB**2
        for side, n_pairs in (("row", above.sum(1)), ("column", above.sum(0))):
            found = of_head.loc[[(circuit, side)]].set_index("token_id")["count"]
            assert found.to_dict() == {token: n for token, n in enumerate(n_pairs.tolist()) if n}


@pytest.mark.parametrize("kind", ["residual", "queries_and_keys"])
def test_positions_are_listed_among_the_tokens(run, kind):
    weights = replace(network(), positions=kind, W_pos=5 * torch.eye(3, D_MODEL))
    pairs, units, *_, counts, _ = run(weights, positions=True, pairs=20, filters=["only_ascii", "exclude_same"])
    items = torch.cat([weights.W_E, weights.W_pos]).double()
    QK = (items @ weights.W_Q[0, 1].double() @ weights.W_K[0, 1].double().T @ items.T).numpy() / D_HEAD**0.5
    kept = [*(n for n, word in enumerate(WORDS) if word.isascii()), 10, 11, 12]
    values = sorted((QK[i, j] for i in kept for j in kept if WORDS_OR_PLACES[i] != WORDS_OR_PLACES[j]), reverse=True)
    listed = pairs.query("layer == 0 and head == 1 and circuit == 'QK' and end == 'top'")
    np.testing.assert_allclose(listed["value"], values[:20], rtol=1e-5)
    assert {f"[pos {n}]" for n in range(3)} <= set(pairs["row_token"]) & set(counts["token"])
    values_of_heads = pairs[pairs["circuit"] == "OV"]
    assert (values_of_heads["row_id"] >= D_VOCAB).any() == (kind == "residual")
    assert (values_of_heads["column_id"] < D_VOCAB).all()
    assert (units["token_id"] < D_VOCAB).all()
    scaled, *_ = run(weights, positions=True, normaliser="notebook")
    assert (scaled["row_id"] >= D_VOCAB).any()


def test_a_model_without_positions_lists_its_tokens_only(run):
    for one, other in zip(run(network(), positions=True), run(network()), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_share_of_the_strongest_ends_a_list_and_keeps_its_beginning(run):
    whole, *_ = run(network(), pairs=100)
    part, *_ = run(network(), pairs=100, min_share=0.5)
    assert set(part["filters"]) == {"min_share=0.5"}
    for key, rows in whole.groupby(["layer", "head", "circuit", "end"]):
        size = rows["value"] / rows["value"].iloc[0]  # both ends of these circuits reach past 0
        kept = part.set_index(["layer", "head", "circuit", "end"]).loc[key]
        np.testing.assert_array_equal(kept["value"], rows["value"][size > 0.5])


def test_a_killed_job_goes_on_after_the_layers_it_finished(run, tmp_path, monkeypatch):
    weights = network(feed_forward=True)
    files = [tmp_path / f"{table.name}.parquet" for table in TABLES]
    expected = [run(weights, normaliser="notebook") and file.read_bytes() for file in files]
    whole, layers = project.layer_tables, []

    def killed(settings, weights, readings, layer, shown):
        layers.append(layer)
        if len(layers) == 2:
            raise KeyboardInterrupt
        return whole(settings, weights, readings, layer, shown)

    for file in files:
        file.unlink()
    monkeypatch.setattr(project, "layer_tables", killed)
    with pytest.raises(KeyboardInterrupt):
        run(weights, normaliser="notebook")
    assert not any(file.exists() for file in files)
    run(weights, normaliser="notebook")
    assert layers == [0, 1, 1]
    assert [file.read_bytes() for file in files] == expected


@pytest.mark.parametrize("parts", [2, 3])  # the third of two layers' jobs has nothing to do
def test_jobs_that_share_the_layers_write_what_one_writes(run, tmp_path, parts):
    names = [f"{table.name}.parquet" for table in TABLES]
    run(network(feed_forward=True))
    alone = [(tmp_path / name).read_bytes() for name in names]
    inputs = [tmp_path / f"{name}.parquet" for name in ("weights", "vocabulary", "tokens")]
    for part in range(parts):
        made = [tmp_path / f"part_{part}" / name for name in names]
        project.run(ProjectSettings.parse(SETTINGS | {"parts": parts, "part": part}), Paths(inputs[:3]), Paths(made))
        assert read(SPECTRA, Paths(made))["layer"].isin([part]).all()
        inputs += made
    outputs = Paths([tmp_path / "whole" / name for name in names])
    project.run(ProjectSettings.parse(SETTINGS | {"parts": parts}), Paths(inputs), outputs)
    assert [file.read_bytes() for file in outputs.files] == alone
    with pytest.raises(ValidationError, match="part 3: there are 3 parts"):
        ProjectSettings.parse(SETTINGS | {"parts": 3, "part": 3})


def test_progress_of_other_work_is_not_taken(run, tmp_path, monkeypatch):
    whole, layers = project.layer_tables, []

    def killed(settings, weights, readings, layer, shown):
        layers.append(layer)
        if layers == [0, 1]:
            raise KeyboardInterrupt
        return whole(settings, weights, readings, layer, shown)

    monkeypatch.setattr(project, "layer_tables", killed)
    with pytest.raises(KeyboardInterrupt):
        run(network())
    other = network()
    other.W_V.mul_(2)
    run(other)
    assert layers == [0, 1, 0, 1]


def degenerate(name, scale):
    """Networks of which a head, the embedding or both say nothing, or the same of every token; 0.1 is as it was."""
    weights = network(feed_forward=True)
    if name == "zeros":
        weights.W_V[0, 0], weights.W_Q[0, 0] = 0, 0
    if name == "rounding":
        weights.W_E[:, -3:] = 0
        turn = torch.linalg.qr(torch.randn(D_MODEL, D_MODEL, generator=torch.Generator().manual_seed(3))).Q
        weights.W_E.copy_(weights.W_E @ turn)  # heads that read its last three directions read rounding
        weights.W_V[0, 0], weights.W_Q[0, 0] = turn[-3:].T, turn[-3:].T
    if name == "rank one":
        for matrix in (weights.W_V, weights.W_Q):
            matrix[0, 0] = matrix[0, 0][:, :1]
    if name == "one embedding":
        weights.W_E.copy_(weights.W_E[:1].expand(D_VOCAB, -1).clone())
    if name == "two embeddings":
        weights.W_E.copy_(weights.W_E[torch.arange(D_VOCAB) % 2])
    for matrix in ("W_E", "W_U", "W_Q", "W_K", "W_V", "W_O", "ff_keys", "ff_values"):
        getattr(weights, matrix).mul_(scale)
    return weights


UNDEFINED = {  # circuits of head 0 whose entries do not vary beyond rounding
    "zeros": {"OV", "QK"},
    "rounding": {"OV", "QK"},
    "rank one": set(),
    "one embedding": {"QK"},
    "two embeddings": set(),
}


HARD = [(name, "none", scale) for name in UNDEFINED for scale in (1e-20, 1.0, 1e20)]
HARD += [(name, "notebook", 1e20) for name in UNDEFINED if name != "rounding"]  # divided, that is as good as any other


@pytest.mark.parametrize(("name", "normaliser", "scale"), HARD)
def test_what_says_nothing_is_listed_in_order_and_has_no_z(run, name, normaliser, scale):
    weights = degenerate(name, scale)
    pairs, units, found, *_ = run(weights, normaliser=normaliser, unit_tokens=D_VOCAB, ln_mode="raw")
    for circuit in ("OV", "QK"):
        of_head = pairs.query("layer == 0 and head == 0 and circuit == @circuit")
        assert of_head["z"].isna().all() == (circuit in UNDEFINED[name])
        for end, sign in (("top", -1), ("bottom", 1)):
            listed = of_head[of_head["end"] == end].sort_values("rank")
            order = list(zip(sign * listed["value"], listed["row_id"], listed["column_id"], strict=True))
            assert order == sorted(order)
            if name == "zeros":
                assert [place[1:] for place in order] == [(0, column) for column in range(7)]
    dense = weights.W_E.double() @ weights.W_V[0, 0].double() @ weights.W_O[0, 0].double() @ weights.W_U.double()
    values = pairs.query("layer == 0 and head == 0 and circuit == 'OV' and end == 'top'")["value"]
    if normaliser == "none" and "OV" not in UNDEFINED[name]:
        np.testing.assert_allclose(values, np.sort(dense.numpy().ravel())[::-1][:7], rtol=1e-6)
        size = found.query("layer == 0 and head == 0 and circuit == 'OV'")["singular_value"]
        np.testing.assert_allclose(size, torch.linalg.svdvals(dense)[:D_HEAD], atol=1e-7 * float(dense.norm()))
        keys = weights.ff_keys[0, 0].double() @ weights.W_E.double().T
        listed = units.query("layer == 0 and matrix == 'FF_key' and unit == 0 and end == 'top'")["value"]
        np.testing.assert_allclose(listed, np.sort(keys)[::-1], rtol=1e-4, atol=1e-6 * float(keys.abs().max()))


def test_mistakes_are_named_and_nothing_is_written(run, tmp_path):
    with pytest.raises(ValueError, match="names 9 tokens, the embedding has 10 rows"):
        run(network(), words=WORDS[:9])
    with pytest.raises(ValueError, match="only 100 pairs"):
        run(network(), pairs=101)
    with pytest.raises(ValueError, match=r"only_ascii leave none of the 10 tokens"):
        run(network(), words=["é"] * 10, filters=["only_ascii"])
    with pytest.raises(ValueError, match="only 0 pairs"):
        run(network(), words=["a"] * 10, filters=["exclude_same"])
    assert not any((tmp_path / f"{table.name}.parquet").exists() for table in TABLES)
    with pytest.raises(ValidationError, match="is there twice"):
        ProjectSettings.parse(SETTINGS | {"filters": ["exclude_same", "exclude_same"]})


def test_chosen_heads_and_neurons_are_read_as_among_all(run):
    every, some = (
        dict(zip([table.name for table in TABLES], run(network(feed_forward=True), **chosen), strict=True))
        for chosen in ({"neurons": None}, {"heads": ["1.0"], "neurons": ["0.4", "1.2", "0.1"]})
    )
    of_neurons = every["vocab_units"]["head"].isna()
    chosen = every["vocab_units"][["layer", "unit"]].apply(tuple, axis=1).isin([(0, 1), (0, 4), (1, 2)])
    of_head = (every["vocab_units"]["layer"] == 1) & (every["vocab_units"]["head"] == 0)
    expected = every["vocab_units"][(of_neurons & chosen) | of_head]
    pd.testing.assert_frame_equal(some["vocab_units"], expected.reset_index(drop=True))
    for name in ("vocab_pairs", "spectra", "vocab_counts"):
        rows = every[name].query("layer == 1 and head == 0").reset_index(drop=True)
        pd.testing.assert_frame_equal(some[name], rows)


@pytest.mark.parametrize("chosen", [{"heads": ["2.0"]}, {"heads": ["0.2"]}, {"neurons": ["0.5"]}])
def test_a_head_or_neuron_that_is_not_there_is_named(run, chosen):
    [[unit]] = chosen.values()
    with pytest.raises(ValueError, match=rf"^{unit}: .*counted from 0; name one of them"):
        run(network(feed_forward=True), **chosen)


def test_pairs_of_a_rotary_model_are_those_of_its_scores_at_each_distance(run):
    weights = replace(network(), positions="rotary", rotary_frequency=torch.tensor([0.8]))
    pairs, *_, counts, parts = run(weights, distances=[1, 3], score_distances=3)
    assert pairs.loc[pairs["circuit"] == "OV", "distance"].isna().all()
    grid = torch.cartesian_prod(torch.arange(D_VOCAB), torch.arange(D_VOCAB))
    for distance in (1, 3):
        tokens = torch.zeros(len(grid), 1 + distance, dtype=torch.int64)
        tokens[:, -1], tokens[:, 0] = grid.T  # query, key
        dense = forward(weights.double(), tokens).scores[:, 0, 1, -1, 0].numpy().reshape(D_VOCAB, D_VOCAB)
        listed = pairs.query("layer == 0 and head == 1 and distance == @distance and end == 'top'")
        np.testing.assert_allclose(listed["value"], np.sort(dense.ravel())[::-1][:7], rtol=1e-5)
        np.testing.assert_allclose(listed["value"], dense[listed["row_id"], listed["column_id"]], rtol=1e-5)
    assert (counts.groupby(["layer", "head", "circuit", "distance", "end", "side"])["count"].sum() == 7).all()
    assert parts.groupby(["layer", "head", "emb_mode"])["distance"].agg(list).tolist() == [[0, 1, 2]] * LAYERS * HEADS


def permuting():
    """A model whose first feed-forward part makes another token of each, and whose last head takes them back."""
    eye, order = torch.eye(D_VOCAB), torch.arange(D_VOCAB).roll(3)
    heads = {name: torch.zeros(LAYERS, 1, D_VOCAB, D_VOCAB) for name in ("W_Q", "W_K", "W_V", "W_O")}
    heads["W_V"][1, 0], heads["W_O"][1, 0] = eye[order].T, eye
    heads["W_Q"][1, 0], heads["W_K"][1, 0] = eye[order].T, eye
    neurons = {"ff_keys": eye.expand(LAYERS, -1, -1), "ff_values": torch.stack([eye[order] - eye, 0 * eye])}
    return Weights("none", W_E=eye, W_U=eye, **heads, **neurons, activation="relu")


def test_what_the_first_feed_forward_part_makes_of_tokens_is_read_side_by_side(run):
    pairs, units, spectra, *_ = run(permuting(), pairs=D_VOCAB, emb_modes=["embedding", "after_mlp0"])
    assert set(pairs.loc[pairs["layer"] == 0, "emb_mode"]) == {"embedding"}
    top = pairs.query("layer == 1 and circuit == 'OV' and end == 'top'").groupby("emb_mode")
    copied = top.apply(lambda rows: (rows["row_id"] == rows["column_id"]).mean())
    assert copied.to_dict() == {"embedding": 0.0, "after_mlp0": 1.0}
    assert (top["value"].min() == 1).all()  # both are permutations
    for table in (units, spectra):
        assert not table.duplicated(list(table.columns)).any()


def test_what_is_planted_in_a_unit_is_found_by_the_claims_about_it(run):
    """A neuron whose lists share two tokens of three; a head that leads on from words, and asks from one token."""
    eye, heads = torch.eye(D_VOCAB), {name: torch.zeros(LAYERS, 1, D_VOCAB, 2) for name in ("W_Q", "W_K", "W_V")}
    W_O = torch.zeros(LAYERS, 1, 2, D_VOCAB)
    heads["W_V"][1, 0, [2, 7], [0, 1]] = W_O[1, 0, [0, 1], [4, 8]] = torch.tensor([2.0, 1.0])
    heads["W_Q"][1, 0, 6, 0] = heads["W_K"][1, 0, [1, 3], 0] = 1.0
    neurons = {name: torch.zeros(LAYERS, NEURONS, D_VOCAB) for name in ("ff_keys", "ff_values")}
    neurons["ff_keys"][1, 2, [1, 4, 8]] = neurons["ff_values"][1, 2, [4, 8, 2]] = torch.tensor([3.0, 2.0, 1.0])
    weights = Weights("none", W_E=eye, W_U=eye, W_O=W_O, **heads, **neurons, activation="relu")
    pairs, units, *_ = run(weights, pairs=2, unit_tokens=3)
    vocabulary = pd.DataFrame({"token_id": range(D_VOCAB), "text": WORDS})
    tables = {"vocab_pairs": pairs, "vocab_units": units, "vocabulary": vocabulary}
    subject = neuron_has_one_subject(tables, "1.2", 0.05)
    assert (subject.value, subject.chance) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert subject.evidence == "2 of 3 tokens: Ġtree Ġriver"
    joined = ov_joins_words(tables, "1.0")
    assert (joined.value, joined.chance) == (1, pytest.approx(0.15))
    assert joined.evidence == "2 of 2 pairs: walk→Ġtree, stone→Ġriver"
    assert qk_has_one_query(tables, "1.0").evidence == "query -- in 100% of 1 pairs"
