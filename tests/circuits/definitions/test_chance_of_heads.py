import json
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from pipeline.circuits.scores.head_scores import circuit_scores, sequence_scores
from pipeline.scoring import chance
from safetensors.torch import save_file

from pipeline.circuits.chance.significance import benjamini_hochberg
from pipeline.circuits.scores import pair_scores, text_scores
from pipeline.circuits.transformer.weights import Weights
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.plumbing.artefacts import Paths
from pipeline.plumbing.tensors import to_frame

D_VOCAB, LENGTH, PERIOD, N_HEADS, D_MODEL, D_HEAD = 12, 9, 4, 3, 12, 4
EVERY = torch.arange(D_VOCAB)
SETTINGS = {"seed": 0, "batch": 2, "tile": 5, "ranked_tokens": 100, "null_sentences": 2}
SETTINGS |= {"draws": 60, "pair_draws": 20, "ranked_draws": 30}


def model(seed):
    generator = torch.Generator().manual_seed(seed)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    tall = {name: random(2, N_HEADS, D_MODEL, D_HEAD) for name in ("W_Q", "W_K", "W_V")}
    return Weights(
        positions="queries_and_keys",
        W_E=torch.eye(D_VOCAB),
        W_U=torch.eye(D_VOCAB),
        W_pos=random(LENGTH, D_MODEL),
        W_O=random(2, N_HEADS, D_HEAD, D_MODEL),
        **tall,
    )


def copier():
    """Head 0.0 sends back all it reads, as it is."""
    weights = model(0)
    weights.W_O[0, 0] = weights.W_V[0, 0].mT
    return weights


def sequences():
    parts = []
    generator = torch.Generator().manual_seed(1)
    for eval_set, period in (("text", None), ("repeated_tokens", PERIOD)):
        for sentence in range(3):
            tokens = torch.randint(1, D_VOCAB, (LENGTH - 1,), generator=generator)
            if period:
                tokens = (torch.randperm(D_VOCAB - 1, generator=generator)[:period] + 1).repeat(2)
            which = {"eval_set": eval_set, "period": period, "sentence": sentence}
            parts.append(pd.DataFrame({**which, "position": range(LENGTH), "token_id": [0, *tokens.tolist()]}))
    return pd.concat(parts, ignore_index=True).astype({"period": "Int64"})


def rows(axes, names, scores, **constants):
    frames = [
        to_frame(axes, value=score.value).assign(**dict(zip(names, name, strict=True)), ideal=score.ideal)
        for name, score in scores.items()
    ]
    return pd.concat(frames).assign(**constants)


def head_scores(weights):
    names, frames = ("metric", "definition"), []
    for eval_set, period in (("text", None), ("repeated_tokens", PERIOD)):
        tokens = chance.sequences_of(sequences(), eval_set, period)
        scores, _ = sequence_scores(weights, tokens, 1, period, 2)
        if period is None:
            scores |= text_scores.unigram_scores(weights, tokens, 1, 5)
            scores |= text_scores.prefix_scores(weights, scores["previous_token", "mean"].value)
        frames.append(rows("layer head", names, scores, eval_set=eval_set, period=period))
    for layer in range(2):
        scores = circuit_scores(weights, layer, EVERY, 5)
        frames.append(rows("head", names, scores, layer=layer, eval_set="weights", period=None))
    return pd.concat(frames, ignore_index=True).astype({"period": "Int64"})


def pair_table(weights):
    names, layers = ("metric", "definition"), {"src_layer": 0, "dst_layer": 1}
    trace = chance.forward(weights, chance.sequences_of(sequences(), "text"))
    of_weights = layers | {"eval_set": "weights"}
    frames = [rows("src_head dst_head", names, pair_scores.composition_scores(weights, 0, 1), **of_weights)]
    for head in range(N_HEADS):
        scores = pair_scores.circuit_scores(weights, (0, head), 1, EVERY, 5)
        frames.append(rows("dst_head", names, scores, src_head=head, **of_weights))
        scores = pair_scores.path_scores(weights, trace, (0, head), 1)
        frames.append(rows("dst_head", names, scores, src_head=head, **layers, eval_set="text"))
    return pd.concat(frames, ignore_index=True)


def compared(weights, before, **settings):
    settings = SimpleNamespace(**(SETTINGS | settings))
    return chance.Comparison(settings, weights, before, sequences(), 1).heads(head_scores(weights))


@pytest.fixture(scope="module")
def tables():
    return compared(copier(), model(1))


@pytest.fixture(scope="module")
def pairs():
    comparison = chance.Comparison(SimpleNamespace(**SETTINGS), copier(), model(1), sequences(), 1)
    return comparison.pairs(pair_table(copier()))


PATTERN = (
    ("induction", "entry_mean"),
    ("induction", "mass"),
    ("induction", "most_recent"),
    ("induction", "detector_mul"),
)


def test_scores_are_those_that_came_in(tables):
    scores, before = tables[0], head_scores(copier())
    keys = ["layer", "head", "metric", "definition", "eval_set", "period"]
    pd.testing.assert_frame_equal(scores[[*keys, "value"]], before[[*keys, "value"]])


def test_each_score_is_compared_with_the_kind_that_random_heads_cannot_fool(tables):
    scores, _ = tables
    kinds = scores.groupby(["eval_set", "metric", "definition"])["null_kind"].agg(set)
    of_weights = kinds["weights"]
    for definition in ("eigenvalue", "eigenvalue_stream", "diagonal_z"):
        assert of_weights["copying", definition] == {"rotation"}
    assert of_weights["same_token_preference", "diagonal_z"] == {"rotation"}
    assert of_weights["copying", "top5"] == {"gaussian"}
    assert of_weights["previous_token", "recall"] == {"gaussian"}
    assert of_weights["previous_token", "positional"] == {"step_0"}
    assert kinds["text", "copying", "top1_unigram"] == {"gaussian"}
    assert kinds["text", "induction", "prefix_trace"] == {"rotation"}
    for name in PATTERN:
        assert kinds["repeated_tokens", *name] == {"permuted_tokens"}
        assert kinds["text", *name] == {"step_0"}
    for name in (("induction", "stripe"), ("copying", "olsson"), ("duplicate_token", "mass"), ("first_token", "mean")):
        assert kinds["repeated_tokens", *name] == {"step_0"}


def test_columns_agree_with_each_other(tables):
    scores, found = tables
    values = scores[[*chance.NAMES, *chance.SETS, "layer", "head", "value"]]
    for known in (scores.dropna(subset="z"), found.merge(values).dropna(subset="z")):
        assert len(known) > 100
        expected = (known["value"] - known["null_mean"]) / known["null_sd"]
        pd.testing.assert_series_equal(known["z"], expected, check_names=False)
        assert (known["q"] >= known["p"]).all()
    known = scores.dropna(subset="normalised")
    back = known["null_mean"] + known["normalised"] * (known["ideal"] - known["null_mean"])
    pd.testing.assert_series_equal(back, known["value"], check_names=False)


def test_q_is_over_the_heads_of_both_layers(tables):
    _, found = tables
    one = found[(found["metric"] == "copying") & (found["definition"] == "diagonal_z")]
    one = one[one["null_kind"] == "rotation"]
    assert len(one) == 2 * N_HEADS
    q = benjamini_hochberg(torch.tensor(one["p"].to_numpy()))
    torch.testing.assert_close(torch.tensor(one["q"].to_numpy()), q)


def test_a_head_that_sends_back_what_it_reads_stands_out(tables):
    scores = tables[0].query("metric == 'copying' and definition == 'diagonal_z' and layer == 0 and head == 0")
    assert scores["p"].item() == pytest.approx(1 / (1 + SETTINGS["draws"]))


def test_heads_before_training_are_each_others_chance(tables):
    found = tables[1].query("null_kind == 'step_0' and eval_set == 'text' and metric == 'first_token' and layer == 1")
    tokens = chance.sequences_of(sequences(), "text")[: SETTINGS["null_sentences"]]
    before, _ = sequence_scores(model(1), tokens, 1, None, 2)
    values = before["first_token", "mean"].value[1]
    assert (found["draws"] == N_HEADS).all()
    assert found["null_mean"].to_list() == pytest.approx([values.mean().item()] * N_HEADS)
    assert found["null_sd"].to_list() == pytest.approx([values.std().item()] * N_HEADS)


def test_without_a_step_0_scores_of_places_have_no_chance():
    scores, found = compared(model(0), None)
    assert "step_0" not in set(found["null_kind"])
    places = scores[scores["metric"].isin(["first_token", "current_token"])]
    assert places[["null_kind", "z", "p", "q", "normalised"]].isna().all(axis=None)
    induction = scores.query("metric == 'induction' and definition == 'mass' and eval_set == 'repeated_tokens'")
    assert induction["null_kind"].eq("permuted_tokens").all()


def test_every_pair_is_compared(pairs):
    scores, found = pairs
    kinds = scores.groupby(["metric", "definition"])["null_kind"].agg(set)
    for kind in "QKV":
        metric = f"{kind}_composition"
        assert kinds[metric, "frobenius"] == kinds[metric, "above_chance"] == {"rotation"}
    assert kinds["K_circuit", "eigenvalue"] == kinds["virtual", "eigenvalue"] == {"rotation"}
    assert kinds["K_circuit", "top1_keys"] == kinds["virtual", "top1"] == {"permuted_tokens"}
    assert kinds["virtual", "norm_share"] == kinds["virtual", "loss_removed"] == {"step_0"}
    assert scores["p"].notna().all()
    assert (found.groupby(["metric", "definition", "null_kind"]).size() == N_HEADS**2).all()


def test_what_chance_is_taken_off_takes_it_off_both_sides(pairs):
    scores = pairs[0].set_index(["src_head", "dst_head", "metric", "definition"]).sort_index()
    whole, above = (
        scores.xs(name, level="definition").loc[(slice(None), slice(None), "K_composition")]
        for name in ("frobenius", "above_chance")
    )
    pd.testing.assert_frame_equal(whole[["z", "p", "q", "normalised"]], above[["z", "p", "q", "normalised"]])
    assert (whole["null_mean"] - above["null_mean"]).to_list() == pytest.approx([D_MODEL**-0.5] * N_HEADS**2)


def test_equal_settings_give_equal_tables(tables):
    for ours, theirs in zip(compared(copier(), model(1)), tables, strict=True):
        pd.testing.assert_frame_equal(ours, theirs)
    other = compared(copier(), model(1), seed=1)[1]
    assert not other["p"].equals(tables[1]["p"])


def test_the_model_before_training_is_read_where_it_was_kept(tmp_path):
    shape = {"n_layers": 1, "n_heads": 2, "d_model": 4, "n_ctx": 3, "d_vocab": 5, "positions": "none", "tied": False}
    network = AttentionOnly(AttentionOnlyConfig.from_dict(shape))
    inputs = Paths([tmp_path / "config.json", tmp_path / "checkpoints.safetensors"])
    inputs.file("config.json").write_text(json.dumps(shape | {"model_type": "attention_only"}))
    parameters = {f"0/{name}": value.detach() for name, value in network.named_parameters()}
    save_file(parameters, inputs.file("checkpoints.safetensors"), {"steps": "[0, 7]"})
    before = chance.at_step_0(inputs)
    torch.testing.assert_close(before.W_E, network.token_embedding.weight.detach())
    assert before.n_heads == 2
    save_file({}, inputs.file("checkpoints.safetensors"), {"steps": "[]"})
    assert chance.at_step_0(inputs) is None
