import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from weights_frame import weights_frame

from pipeline import score
from pipeline.circuits.definitions.measure_heads import sequence_scores
from pipeline.circuits.definitions.views import Tokens
from pipeline.circuits.scores.composition import composition
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.frames.tensors import sequences_of
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.score import ScoreSettings
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import LOSS_SEQUENCES, SEQUENCES
from pipeline.tables.score import (
    HEAD_PAIRS,
    HEAD_SCORES,
    LOSS_BY_POSITION,
    NULLS,
    PAIR_DIRECTIONS,
    PAIR_NULLS,
    RELATION_PAIRS,
    SENTENCE_LOSSES,
    SENTENCE_PAIRS,
    SENTENCE_SCORES,
    VIRTUAL_HEADS,
)

D_VOCAB, LENGTH, PERIOD, N_HEADS = 12, 9, 4, 2
WRITES = (
    *(HEAD_SCORES, SENTENCE_SCORES, NULLS, HEAD_PAIRS, SENTENCE_PAIRS, PAIR_NULLS, VIRTUAL_HEADS, LOSS_BY_POSITION),
    PAIR_DIRECTIONS,
    SENTENCE_LOSSES,
    RELATION_PAIRS,
)
SETTINGS = {
    "batch": 2,
    "tile": 5,
    "ranked_tokens": 100,
    "layer_pairs": [[0, 1]],
    "path_sentences": 2,
    "directions": 0,
    "loss_parts": 4,
    "near": 3,
    "top_tokens": 3,
    "relation_pairs": 2,
    "confidence": 0.95,
    "resamples": 50,
    "draws": 20,
    "pair_draws": 4,
    "ranked_draws": 20,
    "null_sentences": 2,
    "seed": 0,
    "threads": 1,
}


def network(n_layers=2, layer_norm=False):
    generator = torch.Generator().manual_seed(0)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    tall = {name: random(n_layers, N_HEADS, 8, 4) for name in ("W_Q", "W_K", "W_V")}
    norms = {}
    if layer_norm:
        norms = {"ln1_gain": random(n_layers, 8), "ln1_bias": torch.zeros(n_layers, 8)}
        norms |= {"ln_final_gain": random(8), "ln_final_bias": torch.zeros(8)}
    W_O = random(n_layers, N_HEADS, 4, 8)
    return {
        "W_E": random(D_VOCAB, 8),
        "W_U": random(8, D_VOCAB),
        "W_pos": random(LENGTH, 8),
        "W_O": W_O,
        **tall,
        **norms,
    }


def sequences():
    """[BEGIN], then tokens: three sentences a set, and one to show."""
    generator = torch.Generator().manual_seed(1)
    parts = []
    for eval_set, period, sentences in (
        ("text", None, 3),
        ("repeated_text", None, 3),
        ("repeated_tokens", PERIOD, 3),
        ("demo", None, 1),
    ):
        for sentence in range(sentences):
            tokens = torch.randint(1, D_VOCAB, (LENGTH - 1,), generator=generator)
            if period:
                tokens = (torch.randperm(D_VOCAB - 1, generator=generator)[:period] + 1).repeat(2)
            ids = [0, *tokens.tolist()]
            which = {"eval_set": eval_set, "period": period, "sentence": sentence}
            parts.append(pd.DataFrame({**which, "position": range(LENGTH), "token_id": ids}, dtype=object))
    frame = pd.concat(parts, ignore_index=True)
    copies = (frame["eval_set"] == "repeated_tokens") & (frame["position"] > PERIOD)
    token_class = np.where(copies, "second_copy", "other")
    return frame.assign(token="t" + frame["token_id"].astype(str), token_class=token_class)


def many_sequences():
    """The text, and three sentences more."""
    text = sequences().query("eval_set == 'text'").drop(columns="token")
    more = text.assign(sentence=text["sentence"] + 3, token_id=text["token_id"].iloc[::-1].to_numpy())
    return pd.concat([text, more])


@pytest.fixture
def run(tmp_path):
    tables = [f"{name}.parquet" for name in ("weights", "sequences", "loss_sequences", "vocabulary")]
    inputs = Paths([tmp_path / name for name in (*tables, "config.json", "checkpoints.safetensors")])
    save_file({}, tmp_path / "checkpoints.safetensors", {"steps": "[]"})
    outputs = Paths([tmp_path / f"{table.name}.parquet" for table in WRITES])
    names = [f"t{token}" for token in range(D_VOCAB)]
    role = ["begin"] + ["text"] * (D_VOCAB - 1)
    write(VOCABULARY, pd.DataFrame({"token_id": range(D_VOCAB), "token": names, "text": names, "role": role}), inputs)
    write(SEQUENCES, sequences(), inputs)
    write(LOSS_SEQUENCES, many_sequences(), inputs)
    (tmp_path / "config.json").write_text(json.dumps({"step": 7}))

    def run_on(tensors, **settings):
        weights = Weights(positions="queries_and_keys", **tensors)
        write(WEIGHTS, weights_frame(weights), inputs)
        score.run(ScoreSettings.parse(SETTINGS | settings), inputs, outputs)
        return {table.name: read(table, outputs) for table in WRITES}

    return run_on


def test_every_score_of_every_head_and_pair_is_there(run):
    tables = run(network())
    scores = tables["head_scores"]
    assert set(scores["step"]) == {7}
    assert set(scores["confidence"]) == {0.95}
    assert (scores.groupby(["metric", "definition", "eval_set"]).size() == 2 * N_HEADS).all()
    where = {(row.metric, row.definition): set() for row in scores.itertuples()}
    for row in scores.itertuples():
        where[row.metric, row.definition].add(row.eval_set)
    assert where["induction", "mass"] == {"text", "repeated_text", "repeated_tokens"}
    assert where["induction", "stripe"] == where["copying", "olsson"] == {"repeated_tokens"}
    assert where["copying", "top1_unigram"] == where["induction", "prefix_trace"] == {"text"}
    assert where["copying", "top1"] == where["previous_token", "positional"] == {"weights"}

    pairs = tables["head_pairs"].groupby(["metric", "definition"])["value"].count()
    assert set(pairs) == {N_HEADS**2}
    promoted = tables["virtual_heads"]
    assert len(promoted) == N_HEADS**2 * 2 * LENGTH * SETTINGS["top_tokens"]
    assert (promoted.groupby(["src_head", "dst_head", "kind", "position"])["logit"].diff().dropna() <= 0).all()
    assert set(promoted["src_head"]) == {"0.0", "0.1"}


def test_heads_that_look_everywhere_alike_score_what_chance_gives(run):
    tensors = network()
    scores = run(tensors | {"W_Q": torch.zeros_like(tensors["W_Q"])})["head_scores"]
    scores = scores[(scores["eval_set"] != "weights") & (scores["metric"] != "copying")].dropna(subset="value")
    # What heads write is not even.
    written = scores["metric"].isin(["inactive", "direct_copying"])
    scores = scores[~scores["definition"].str.startswith("prefix") & ~written]
    assert len(scores) > 0
    np.testing.assert_allclose(scores["value"], scores["chance"], rtol=1e-6)


def test_a_score_is_the_weighted_mean_of_its_sentences_and_lies_in_its_interval(run):
    tables = run(network(), resamples=400)
    key = ["layer", "head", "metric", "definition", "eval_set", "period"]
    scores, sentences = (tables[name].fillna({"period": 0}) for name in ("head_scores", "sentence_scores"))
    assert set(sentences["sentence"]) == {0, 1, 2}
    assert (sentences["value"].isna() == (sentences["weight"] == 0)).all()
    sums = sentences.assign(value=sentences["value"] * sentences["weight"]).groupby(key)
    sums = sums[["value", "weight"]].sum()
    scores = scores.set_index(key).loc[sums.index]
    np.testing.assert_allclose(scores["value"], sums["value"] / sums["weight"].where(sums["weight"] > 0))
    inside = scores.dropna(subset="lo")
    assert len(inside) > 0
    assert ((inside["lo"] <= inside["value"] + 1e-12) & (inside["value"] <= inside["hi"] + 1e-12)).all()
    assert tables["head_scores"].query("eval_set == 'weights'")["lo"].isna().all()


def test_a_score_of_pairs_is_the_weighted_mean_of_its_sentences(run):
    tables = run(network())
    key = ["src_layer", "src_head", "dst_layer", "dst_head", "metric", "definition"]
    sentences = tables["sentence_pairs"]
    assert set(sentences["metric"]) == {"virtual"}
    assert set(sentences["sentence"]) == {0, 1}
    means = sentences["value"].mul(sentences["weight"]).groupby([sentences[name] for name in key]).sum()
    means /= sentences.groupby(key)["weight"].sum()
    whole = tables["head_pairs"].set_index(key)["value"]
    np.testing.assert_allclose(means, whole[means.index], rtol=1e-6)


def test_losses_are_kept_by_sentence_part_and_class_on_more_text(run):
    tables = run(network())
    losses, by_position = tables["sentence_losses"], tables["loss_by_position"]
    counts = losses.groupby("eval_set")["sentence"].nunique()
    assert counts.to_dict() == {"text": 6, "repeated_text": 3, "repeated_tokens": 3}
    assert losses.groupby(["eval_set", "sentence"])["n"].sum().eq(LENGTH - 1).all()
    # Positions 0 to 8 in four parts: three in the first, whose own first nothing predicts.
    assert losses[losses["eval_set"] == "text"].groupby("part")["n"].first().to_list() == [2, 2, 2, 2]
    same = losses[losses["sentence"] < 3]
    expected, means = (
        {
            names: np.average(rows["loss"], weights=rows["n"])
            for names, rows in table.groupby(["eval_set", "token_class"])
        }
        for table in (by_position, same)
    )
    assert means == pytest.approx(expected)


def test_the_gauge_of_a_head_changes_no_score_that_is_said_to_ignore_it(run):
    tensors = network()
    gauge = torch.randn(2, 2, N_HEADS, 4, 4, generator=torch.Generator().manual_seed(8))
    inverse = torch.linalg.inv(gauge)
    turned = tensors | {
        "W_Q": tensors["W_Q"] @ gauge[0],
        "W_K": tensors["W_K"] @ inverse[0].mT,
        "W_V": tensors["W_V"] @ gauge[1],
        "W_O": inverse[1] @ tensors["W_O"],
    }
    before, after = run(tensors), run(turned)
    for table in ("head_scores", "head_pairs"):
        same = before[table]["gauge_invariant"]
        assert same.any()
        np.testing.assert_allclose(before[table]["value"][same], after[table]["value"][same], rtol=1e-3, atol=1e-4)


def test_a_model_that_predicts_nothing_loses_the_logarithm_of_the_vocabulary(run):
    tensors = network()
    tables = run(tensors | {"W_U": torch.zeros_like(tensors["W_U"])})
    losses = tables["loss_by_position"]
    np.testing.assert_allclose(losses["loss"], math.log(D_VOCAB))
    assert losses.groupby("eval_set")["n"].sum().to_dict() == dict.fromkeys(
        ("text", "repeated_text", "repeated_tokens"), 3 * (LENGTH - 1)
    )
    assert losses.loc[losses["token_class"] == "second_copy", "position"].min() == PERIOD + 1
    removed = tables["head_pairs"].query("definition == 'loss_removed'")["value"]
    np.testing.assert_allclose(removed, 0, atol=1e-12)
    # A circuit of zeros copies no token, and has no eigenvalues to speak of.
    copying = (
        tables["head_scores"].query("metric == 'copying' and eval_set == 'weights'").set_index("definition")["value"]
    )
    assert (copying[["top1", "top5"]] == 0).all()
    assert copying[["eigenvalue", "diagonal_z"]].isna().all()
    assert copying["eigenvalue_stream"].notna().all()


def test_portions_bound_memory_and_change_nothing(run):
    whole, portioned = run(network(), batch=100, tile=100), run(network(), batch=1, tile=1)
    for name, frame in whole.items():
        for column in {"value", "loss", "logit"} & set(frame.columns):
            np.testing.assert_allclose(frame[column], portioned[name][column], atol=1e-6)


def test_a_model_of_one_layer_has_no_pairs(run):
    tables = run(network(n_layers=1))
    assert tables["head_pairs"].empty
    assert tables["virtual_heads"].empty
    assert len(tables["head_scores"]) > 0


def test_norms_are_held_on_paths_and_gains_read_into_circuits(run):
    tables = run(network(layer_norm=True))
    pairs = tables["head_pairs"].set_index("definition")["value"]
    assert pairs["loss_removed"].isna().all()
    assert pairs[["norm_share", "logit_contribution"]].notna().all()
    assert pairs[["eigenvalue", "top1"]].notna().all()
    assert len(tables["virtual_heads"]) > 0
    # Circuits are read through the gains of layer norm.
    weights = gains_folded(Weights(positions="queries_and_keys", **network(layer_norm=True)))
    for through, value in composition(weights, 0, 1).items():
        rows = tables["head_pairs"]
        rows = rows[(rows["metric"] == f"{through}_composition") & (rows["definition"] == "frobenius")]
        np.testing.assert_allclose(rows["value"], value.flatten())


def test_the_layers_of_the_heads_that_compose_most_are_followed(run):
    read = {"K_composition", "Q_composition", "V_composition"}
    weights = network(n_layers=3)
    weights["W_K"][2, 1] = weights["W_O"][1, 0].mT  # a reader of layer 2 sees what a head of layer 1 writes
    pairs = run(weights, layer_pairs=None)["head_pairs"]
    followed = pairs[~pairs["metric"].isin(read)]
    assert set(zip(followed["src_layer"], followed["dst_layer"], strict=True)) == {(1, 2)}
    assert set(zip(pairs["src_layer"], pairs["dst_layer"], strict=True)) == {(0, 1), (0, 2), (1, 2)}


def test_olsson_copying_starts_after_begin(run):
    tables = run(network())
    tokens = sequences_of(sequences(), "repeated_tokens", PERIOD)
    weights = Weights(positions="queries_and_keys", **network())
    expected, _ = sequence_scores(weights, Tokens(tokens, first=1, period=PERIOD), batch=2)
    olsson = tables["head_scores"].query("definition == 'olsson'")["value"]
    np.testing.assert_allclose(olsson, expected["copying", "olsson"].value.flatten())


def test_the_model_before_training_is_read_where_it_was_kept(tmp_path):
    shape = {"n_layers": 1, "n_heads": 2, "d_model": 4, "n_ctx": 3, "d_vocab": 5, "positions": "none", "tied": False}
    model = AttentionOnly(AttentionOnlyConfig.from_dict(shape))
    inputs = Paths([tmp_path / "config.json", tmp_path / "checkpoints.safetensors"])
    inputs.file("config.json").write_text(json.dumps(shape | {"model_type": "attention_only"}))
    parameters = {f"0/{name}": value.detach() for name, value in model.named_parameters()}
    save_file(parameters, inputs.file("checkpoints.safetensors"), {"steps": "[0, 7]"})
    before = score.before_training(inputs)
    torch.testing.assert_close(before.W_E, model.token_embedding.weight.detach())
    assert before.n_heads == 2
    save_file({}, inputs.file("checkpoints.safetensors"), {"steps": "[]"})
    assert score.before_training(inputs) is None


def test_a_wider_confidence_gives_wider_intervals(run):
    narrow, wide = (run(network(), confidence=confidence)["head_scores"] for confidence in (0.5, 0.95))
    known = wide["lo"].notna()
    assert known.any()
    assert (wide["hi"] - wide["lo"] >= narrow["hi"] - narrow["lo"])[known].all()
    assert (wide["hi"] - wide["lo"])[known].sum() > (narrow["hi"] - narrow["lo"])[known].sum()
    assert set(narrow["confidence"]) == {0.5}


def test_equal_inputs_give_equal_bytes(run, tmp_path):
    files = [tmp_path / f"{table.name}.parquet" for table in WRITES]
    run(network())
    first = [file.read_bytes() for file in files]
    run(network())
    assert [file.read_bytes() for file in files] == first


def test_a_pair_of_layers_out_of_order_is_refused():
    with pytest.raises(ValueError, match="earlier first"):
        ScoreSettings.parse(SETTINGS | {"layer_pairs": [[1, 0]]})


def test_a_model_that_attends_both_ways_is_scored_by_its_weights_alone(run):
    tables = run(network() | {"attends": "both_ways"})
    assert set(tables["head_scores"]["eval_set"]) == {"weights"}
    assert tables["loss_by_position"].empty
    assert len(tables["head_pairs"]) > 0


def test_directions_of_pairs_are_listed_where_they_are_asked_for(run):
    """The largest, over all directions, is the score of its name."""
    assert run(network())["pair_directions"].empty
    tables = run(network(n_layers=3), directions=4)
    listed = tables["pair_directions"]
    assert len(listed) == 3 * 3 * N_HEADS**2 * 4
    assert (listed["chance"] == 8**-0.5).all()
    heads = ["src_layer", "src_head", "dst_layer", "dst_head"]
    sizes = listed.groupby([*heads, "through"])["singular_value"]
    assert sizes.apply(lambda values: values.is_monotonic_decreasing).all()
    scores = tables["head_pairs"].query("definition == 'largest_direction'")
    scores = scores.assign(through=scores["metric"].str[0]).set_index([*heads, "through"])["value"]
    largest = listed.groupby([*heads, "through"])["value"].max()
    pd.testing.assert_series_equal(largest.sort_index(), scores.sort_index())
    assert run(network(), directions=2)["pair_directions"]["direction"].unique().tolist() == [0, 1]
