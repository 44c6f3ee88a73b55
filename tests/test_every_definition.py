"""Every definition that is declared is measured by a stage, and compared with the chance that it names."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from weights_frame import weights_frame

from pipeline import challenge, score, score_checkpoints
from pipeline.circuits.definitions import chance_of_heads, heads, measure_heads, registry
from pipeline.circuits.definitions.definition import Definition, OfCircuit
from pipeline.circuits.definitions.of_models import CLASSES
from pipeline.circuits.definitions.registry import DEFINITIONS, HEADS, PAIRS
from pipeline.circuits.scores import copying
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.families import to_weights
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.compose import compose
from pipeline.settings.challenge import ChallengeSettings
from pipeline.settings.score import ScoreSettings
from pipeline.settings.score_checkpoints import ScoreCheckpointsSettings
from pipeline.tables.challenge import CHALLENGE_SCORES
from pipeline.tables.extract import WEIGHTS
from pipeline.tables.prepare import TOKENS, VOCABULARY
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
from pipeline.tables.score_checkpoints import CHECKPOINT_LOSSES, CHECKPOINT_SCORES, CHECKPOINT_SENTENCES

D_VOCAB, LENGTH, PERIOD = 50, 33, 5
CONFIG = AttentionOnlyConfig(
    n_layers=2, n_heads=2, d_model=8, n_ctx=LENGTH, d_vocab=D_VOCAB, positions="queries_and_keys", tied=False
)
# Of models with feed-forward parts alone; see circuits/definitions/test_chance_of_heads.py.
BEHIND = {entry.name for entry in heads.BEHIND}
SMALL = (
    *(f"model.n_ctx={LENGTH}", "score.draws=20", "score.pair_draws=4", "score.ranked_draws=20"),
    *("challenge.segment=4", "challenge.sentences=4", "challenge.lengths=[12]", "challenge.periods=[5]"),
)
OF_SCORE = (
    HEAD_SCORES,
    SENTENCE_SCORES,
    NULLS,
    HEAD_PAIRS,
    PAIR_NULLS,
    PAIR_DIRECTIONS,
    VIRTUAL_HEADS,
    LOSS_BY_POSITION,
    SENTENCE_PAIRS,
    SENTENCE_LOSSES,
    RELATION_PAIRS,
)
STAGES = {
    "score": (score, ScoreSettings),
    "score_checkpoints": (score_checkpoints, ScoreCheckpointsSettings),
    "challenge": (challenge, ChallengeSettings),
}


def network(step):
    model = AttentionOnly(CONFIG)
    model.initialise(1.0, 1.0, 2.0, torch.Generator().manual_seed(step))
    return model.state_dict()


def sequences():
    """[BEGIN], then a block over and over; of text, tokens at random; each class of tokens in turn."""
    generator = torch.Generator().manual_seed(1)
    frames = []
    for eval_set, period in (("text", None), ("repeated_text", None), ("repeated_tokens", PERIOD), ("demo", None)):
        for sentence in range(3):
            drawn = torch.randperm(D_VOCAB - 1, generator=generator)[: PERIOD if period else LENGTH] + 1
            tokens = [0, *drawn.repeat(LENGTH)[: LENGTH - 1].tolist()]
            frame = pd.DataFrame({"position": range(LENGTH), "token_id": tokens})
            frames.append(frame.assign(eval_set=eval_set, period=period, sentence=sentence))
    frame = pd.concat(frames, ignore_index=True).astype({"period": "Int64"})
    token_class = np.resize(CLASSES, len(frame))
    return frame.assign(token="t" + frame["token_id"].astype(str), token_class=token_class)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """What the stages read, of a model that was kept before training."""
    folder = tmp_path_factory.mktemp("inputs")
    tables = [folder / f"{table.name}.parquet" for table in (WEIGHTS, SEQUENCES, LOSS_SEQUENCES, VOCABULARY, TOKENS)]
    inputs = Paths([*tables, folder / "config.json", folder / "checkpoints.safetensors"])
    names = [f"t{token}" for token in range(D_VOCAB)]
    role = ["begin", "end"] + ["text"] * (D_VOCAB - 2)
    vocabulary = pd.DataFrame({"token_id": range(D_VOCAB), "token": names, "role": role})
    write(VOCABULARY, vocabulary.assign(text=vocabulary["token_id"].astype(str)), inputs)  # numerals
    for table in (SEQUENCES, LOSS_SEQUENCES):
        write(table, sequences()[list(table.names)], inputs)
    ids = [np.arange(2, D_VOCAB, dtype=np.int32), np.array([3], np.int32)]
    write(TOKENS, pd.DataFrame({"document": [0, 1], "split": ["train", "heldout"], "token_ids": ids}), inputs)
    config = asdict(CONFIG) | {"model_type": "attention_only", "step": 5}
    inputs.file("config.json").write_text(json.dumps(config))
    write(WEIGHTS, weights_frame(to_weights(config, network(5).__getitem__)), inputs)
    kept = {f"{step}/{name}": value for step in (0, 5) for name, value in network(step).items()}
    save_file(kept, inputs.file("checkpoints.safetensors"), {"steps": "[0, 5]"})
    return inputs


def run(stage, inputs, folder, tables):
    module, slice_of = STAGES[stage]
    outputs = Paths([folder / f"{table.name}.parquet" for table in tables])
    module.run(slice_of.parse(compose((), SMALL, "base", 0)[stage]), inputs, outputs)
    return {table.name: read(table, outputs) for table in tables}


@pytest.fixture(scope="module")
def scored(inputs, tmp_path_factory):
    return run("score", inputs, tmp_path_factory.mktemp("score"), OF_SCORE)


@pytest.fixture(scope="module")
def followed(inputs, tmp_path_factory):
    made = [CHECKPOINT_SCORES, CHECKPOINT_SENTENCES, CHECKPOINT_LOSSES]
    tables = run("score_checkpoints", inputs, tmp_path_factory.mktemp("followed"), made)
    return {CHECKPOINT_SCORES.name: tables[CHECKPOINT_SCORES.name]}


@pytest.fixture(scope="module")
def challenged(inputs, tmp_path_factory):
    return run("challenge", inputs, tmp_path_factory.mktemp("challenged"), [CHALLENGE_SCORES])


def names(*frames):
    return {name for frame in frames for name in zip(frame["metric"], frame["definition"], strict=True)}


def test_every_definition_is_measured_and_nothing_else(scored, followed, challenged):
    measured = scored[HEAD_SCORES.name], scored[HEAD_PAIRS.name], *followed.values(), *challenged.values()
    assert names(*measured) == set(DEFINITIONS) - BEHIND


def test_each_stage_measures_what_is_its_own(scored, followed, challenged):
    heads = {entry.name for entry in HEADS if entry.nulls} - BEHIND
    assert names(scored[HEAD_SCORES.name]) == heads
    assert names(scored[HEAD_PAIRS.name]) == {entry.name for entry in PAIRS}
    assert names(*challenged.values()) == {name for name, entry in DEFINITIONS.items() if entry.on_challenges}
    assert names(*followed.values()) >= {entry.name for entry in score_checkpoints.FOLLOWED if entry.nulls} - BEHIND


@pytest.mark.parametrize(("scores", "nulls", "among"), [(HEAD_SCORES, NULLS, HEADS), (HEAD_PAIRS, PAIR_NULLS, PAIRS)])
def test_a_measured_score_gets_the_chance_that_its_definition_names(scored, scores, nulls, among):
    """A kind may need what some sets lack (a period); the first that a set has is the one to compare with."""
    kinds = scored[nulls.name].groupby(["metric", "definition"])["null_kind"].agg(set).to_dict()
    assert kinds == {entry.name: set(entry.nulls) for entry in among if entry.nulls and entry.name not in BEHIND}
    where = ["metric", "definition", "eval_set"]
    chosen = scored[scores.name].groupby(where)["null_kind"].agg(set)
    for name, on_set in scored[nulls.name].groupby(where)["null_kind"].agg(set).items():
        named = DEFINITIONS[name[:2]].nulls
        assert chosen[name] == {next(null_kind for null_kind in named if null_kind in on_set)}


def test_a_relation_is_scored_where_enough_of_its_words_are_tokens(scored):
    pairs = scored[RELATION_PAIRS.name]
    used = pairs.dropna(subset="source_id")
    assert set(used["relation"]) == {"numerals"}
    assert len(used) == D_VOCAB - 1
    assert (used["target_id"] == used["source_id"] + 1).all()
    scores = scored[HEAD_SCORES.name].query("metric == 'relation'").set_index("definition")
    assert scores.loc["numerals", ["value", "p", "q", "null_mean"]].notna().all(axis=None)
    assert scores.drop("numerals")["value"].isna().all()


def test_a_definition_says_where_it_is_from_and_on_what_it_is_measured(scored):
    for table in (HEAD_SCORES, HEAD_PAIRS):
        rows = scored[table.name][["metric", "definition", "source", "eval_set"]].drop_duplicates()
        for row in rows.itertuples():
            entry = DEFINITIONS[row.metric, row.definition]
            assert row.source == entry.source
            assert row.eval_set == entry.eval_set or (entry.eval_set is None and row.eval_set != "weights")


def test_one_entry_is_all_that_a_new_score_needs(inputs, scored, tmp_path, monkeypatch):
    """A made-up score of the QK circuit, its eigenvalues' opposite: measured, compared and written as any other."""
    opposite = Definition(
        metric="made_up",
        definition="opposite",
        meaning="minus the eigenvalue score",
        source="a test",
        unit="none",
        measure=OfCircuit("QK", lambda circuit: -copying.eigenvalue(circuit)),
        chance=0.0,
        ideal=1.0,
        nulls=("rotation", "gaussian", "step_0"),
    )
    for module in (registry, measure_heads, chance_of_heads):
        monkeypatch.setattr(module, "HEADS", (*HEADS, opposite))
    monkeypatch.setitem(DEFINITIONS, opposite.name, opposite)
    tables = run("score", inputs, tmp_path, OF_SCORE)
    scores, nulls = (tables[table.name].query("metric == 'made_up'") for table in (HEAD_SCORES, NULLS))
    known = scored[HEAD_SCORES.name].query("metric == 'same_token_preference' and definition == 'eigenvalue'")
    assert len(scores) == 4
    np.testing.assert_allclose(scores["value"], -known["value"])
    assert set(scores["source"]) == {"a test"}
    assert set(scores["null_kind"]) == {"rotation"}
    assert nulls.groupby("null_kind").size().to_dict() == dict.fromkeys(opposite.nulls, 4)
    assert scores[["p", "q", "normalised"]].notna().all(axis=None)
