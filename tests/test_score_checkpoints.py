import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from pipeline import score_checkpoints
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.families import to_weights
from pipeline.models.in_format import FormatConfig, InFormat
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.settings.score_checkpoints import ScoreCheckpointsSettings
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.score_checkpoints import CHECKPOINT_LOSSES, CHECKPOINT_SCORES, CHECKPOINT_SENTENCES

D_VOCAB, LENGTH, PERIOD, SENTENCES, STEPS = 12, 10, 3, 4, (0, 5)
CONFIG = AttentionOnlyConfig(
    n_layers=2, n_heads=2, d_model=8, n_ctx=LENGTH, d_vocab=D_VOCAB, positions="queries_and_keys", tied=False
)
SETTINGS = {
    "eval_sets": ["text", "repeated_text", "repeated_tokens"],
    "sentences": 3,
    "batch": 2,
    "tile": 5,
    "ranked_tokens": 100,
    "early": [0.1, 0.3],
    "late": [0.8, 1.0],
    "threads": 1,
}


def network(step, config=CONFIG):
    model = AttentionOnly(config)
    model.initialise(1.0, 1.0, 2.0, torch.Generator().manual_seed(step))
    return model


def sequences():
    """[BEGIN], then tokens; of every set, the last positions are second copies."""
    generator = torch.Generator().manual_seed(1)
    rows = []
    for eval_set, period in (("text", None), ("repeated_text", None), ("repeated_tokens", PERIOD), ("demo", None)):
        for sentence in range(SENTENCES):
            block = torch.randperm(D_VOCAB - 1, generator=generator)[:PERIOD] + 1
            tokens = [0, *block.repeat(LENGTH)[: LENGTH - 1].tolist()]
            for position, token in enumerate(tokens):
                token_class = "second_copy" if position > PERIOD and eval_set != "text" else "other"
                rows.append((eval_set, period, sentence, position, token, f"t{token}", token_class))
    names = ["eval_set", "period", "sentence", "position", "token_id", "token", "token_class"]
    return pd.DataFrame(rows, columns=names).astype({"period": "Int64"})


@pytest.fixture
def run(tmp_path):
    files = ("config.json", "checkpoints.safetensors", "sequences.parquet", "vocabulary.parquet")
    inputs = Paths([tmp_path / name for name in files])
    tables = CHECKPOINT_SCORES, CHECKPOINT_SENTENCES, CHECKPOINT_LOSSES
    outputs = Paths([tmp_path / f"{table.name}.parquet" for table in tables])
    names = [f"t{token}" for token in range(D_VOCAB)]
    role = ["begin"] + ["text"] * (D_VOCAB - 1)
    write(VOCABULARY, pd.DataFrame({"token_id": range(D_VOCAB), "token": names, "text": names, "role": role}), inputs)

    def run_on(steps=STEPS, shown=None, config=CONFIG, made=network, **settings):
        write(SEQUENCES, sequences() if shown is None else shown, inputs)
        (tmp_path / "config.json").write_text(json.dumps(made(0, config).described()))
        kept = {f"{step}/{name}": value for step in steps for name, value in made(step, config).state_dict().items()}
        save_file(kept, tmp_path / "checkpoints.safetensors", {"steps": json.dumps(list(steps))})
        score_checkpoints.run(ScoreCheckpointsSettings.parse(SETTINGS | settings), inputs, outputs)
        return read(CHECKPOINT_SCORES, outputs)

    return run_on


def tokens_of(eval_set):
    rows = sequences()
    rows = rows[(rows["eval_set"] == eval_set) & (rows["sentence"] < SETTINGS["sentences"])]
    return torch.tensor(rows["token_id"].to_numpy().reshape(-1, LENGTH))


def test_every_measure_is_there_at_every_checkpoint(run):
    checkpoint_scores = run()
    assert set(checkpoint_scores["step"]) == set(STEPS)
    counts = checkpoint_scores.groupby("step").size()
    assert counts[0] == counts[5]
    assert set(checkpoint_scores["eval_set"]) == {"text", "repeated_text", "repeated_tokens", "weights"}
    pairs = checkpoint_scores[checkpoint_scores["src_head"].notna()]
    assert {("K_composition", "frobenius"), ("K_circuit", "top1_keys")} <= set(
        zip(pairs["metric"], pairs["definition"], strict=True)
    )
    assert (pairs.groupby(["step", "metric", "definition"]).size() == CONFIG.n_heads**2).all()
    heads = checkpoint_scores[checkpoint_scores["src_head"].isna() & checkpoint_scores["head"].notna()]
    assert (heads.groupby(["step", "metric", "definition", "eval_set"]).size() == 2 * CONFIG.n_heads).all()
    assert {"previous_token", "induction", "copying"} <= set(heads["metric"])
    assert not heads["definition"].str.contains("no_begin").any()


@pytest.mark.parametrize("step", STEPS)
def test_a_head_is_scored_with_the_weights_of_its_step(run, step):
    """Attention to the token before, by plain loops over the network's own pattern."""
    checkpoint_scores = run()
    tokens = tokens_of("text")
    with torch.no_grad():
        pattern = network(step).trace(tokens).pattern
    for layer in range(CONFIG.n_layers):
        for head in range(CONFIG.n_heads):
            total = 0.0
            for sentence in range(len(tokens)):
                for query in range(1, LENGTH):
                    total += float(pattern[sentence, layer, head, query, query - 1])
            rows = checkpoint_scores.query(
                f"step == {step} and layer == {layer} and head == {head} and metric == 'previous_token' "
                "and definition == 'mean' and eval_set == 'text'"
            )
            assert rows["value"].item() == pytest.approx(total / (len(tokens) * (LENGTH - 1)), abs=1e-6)


def in_format(step, config):
    model = InFormat(config, torch.Generator().manual_seed(step))
    with torch.no_grad():
        for parameter in model.parameters():  # gains too, which begin at 1
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step)), alpha=0.3)
    return model


@pytest.mark.parametrize("format", ["gpt2", "llama"])
def test_a_head_of_a_model_with_norms_reads_what_their_gains_leave(run, format):
    config = FormatConfig(format, 2, 2, 2, 8, 12, LENGTH, D_VOCAB, tied=True, initial_sd=0.5)
    scores = run(config=config, made=in_format)
    found = scores[(scores["step"] == 5) & (scores["metric"] == "K_composition")].set_index(["src_head", "head"])
    made = in_format(5, config)
    weights = to_weights(made.described(), made.state_dict().__getitem__)
    for (source, head), value in found.loc[found["definition"] == "frobenius", "value"].items():
        W_OV = weights.ln1_gain[0][:, None] * weights.W_V[0, source] @ weights.W_O[0, source]
        W_QK = weights.ln1_gain[1][:, None] * weights.W_Q[1, head] @ weights.W_K[1, head].T * weights.ln1_gain[1]
        expected = (W_OV @ W_QK.T).norm() / (W_OV.norm() * W_QK.norm())
        assert value == pytest.approx(float(expected), abs=1e-5)


def test_losses_are_the_networks_own_by_class_and_by_place(run):
    checkpoint_scores = run()
    with torch.no_grad():
        losses = network(5).losses(tokens_of("repeated_text")).double()  # entry p is about position p + 1
    of_model = checkpoint_scores[
        (checkpoint_scores["step"] == 5)
        & checkpoint_scores["head"].isna()
        & (checkpoint_scores["eval_set"] == "repeated_text")
    ]
    found = of_model.set_index("definition")["value"]
    assert found["second_copy"] == pytest.approx(float(losses[:, PERIOD:].mean()), abs=1e-5)
    assert found["other"] == pytest.approx(float(losses[:, :PERIOD].mean()), abs=1e-5)
    # Positions 1 and 2 are early, 8 and 9 late.
    gain = losses[:, [7, 8]].mean() - losses[:, [0, 1]].mean()
    assert found["late_minus_early"] == pytest.approx(float(gain), abs=1e-5)


def test_losses_are_kept_by_sentence(run, tmp_path):
    of_all = run().query("metric == 'loss' and eval_set == 'repeated_text'").set_index(["step", "definition"])["value"]
    losses = read(CHECKPOINT_LOSSES, Paths([tmp_path / "checkpoint_losses.parquet"]))
    losses = losses[losses["eval_set"] == "repeated_text"]
    assert losses.groupby(["step", "token_class"])["sentence"].nunique().eq(SETTINGS["sentences"]).all()
    sums = losses.assign(loss=losses["loss"] * losses["n"]).groupby(["step", "token_class"])[["loss", "n"]].sum()
    assert (sums["loss"] / sums["n"]).to_dict() == pytest.approx(of_all.to_dict())


def test_only_the_first_sentences_count(run):
    everything = run()
    changed = sequences()
    last = changed["sentence"] == SENTENCES - 1
    changed.loc[last & (changed["position"] > 0), "token_id"] = 1
    pd.testing.assert_frame_equal(run(shown=changed), everything)
    assert not run(shown=changed, sentences=SENTENCES).equals(run(sentences=SENTENCES))


def test_a_model_without_checkpoints_has_an_empty_table_and_says_so(run, capsys):
    assert run(steps=()).empty
    assert "no checkpoints" in capsys.readouterr().out


def test_one_layer_has_heads_but_no_pairs(run):
    config = AttentionOnlyConfig(**(vars(CONFIG) | {"n_layers": 1, "positions": "none"}))
    checkpoint_scores = run(config=config)
    assert checkpoint_scores["src_head"].isna().all()
    assert set(checkpoint_scores["layer"].dropna()) == {0}


def test_equal_inputs_give_equal_bytes(run, tmp_path):
    first, second = (run() is not None and (tmp_path / "checkpoint_scores.parquet").read_bytes() for _ in range(2))
    assert first == second


def test_a_model_that_predicts_nothing_learns_nothing_from_context(run):
    def silent(step, config):
        model = network(step, config)
        torch.nn.init.zeros_(model.unembedding.weight)
        return model

    of_model = run(made=silent).query("metric == 'loss' or metric == 'in_context_learning'")
    losses = of_model[of_model["metric"] == "loss"]["value"]
    assert losses.to_list() == pytest.approx([math.log(D_VOCAB)] * len(losses))
    assert of_model[of_model["metric"] == "in_context_learning"]["value"].abs().max() < 1e-12


@pytest.mark.parametrize("window", [[0.5, 0.5], [0.3, 0.1], [-0.1, 0.5], [0.9, 1.1]])
def test_a_window_that_is_no_part_of_a_sequence_is_refused(window):
    with pytest.raises(ValueError, match="give two shares"):
        ScoreCheckpointsSettings.parse(SETTINGS | {"early": window})


def test_induction_is_the_weighted_mean_of_its_sentences_at_every_checkpoint(run, tmp_path):
    whole = run().query("metric == 'induction' and definition == 'mass' and eval_set == 'repeated_tokens'")
    sentences = read(CHECKPOINT_SENTENCES, Paths([tmp_path / "checkpoint_sentences.parquet"]))
    names = ["step", "layer", "head", "period"]
    sums = sentences.assign(value=sentences["value"] * sentences["weight"]).groupby(names)[["value", "weight"]].sum()
    assert sentences.groupby(names).size().eq(SETTINGS["sentences"]).all()
    means = (sums["value"] / sums["weight"]).reindex(pd.MultiIndex.from_frame(whole[names]))
    np.testing.assert_allclose(means, whole["value"])
