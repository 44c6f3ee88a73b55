"""Measure every head, pair of heads and loss at every saved checkpoint of a training."""

import json
from collections.abc import Iterator
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from pipeline.circuits.definitions import measure_pairs
from pipeline.circuits.definitions.definition import OfLosses
from pipeline.circuits.definitions.heads import WORDS
from pipeline.circuits.definitions.measure_heads import circuit_scores, products_between, sequence_scores, text_scores
from pipeline.circuits.definitions.registry import HEADS, MODELS, measured_as
from pipeline.circuits.definitions.views import Tokens
from pipeline.circuits.scores.copying import spread
from pipeline.circuits.scores.score import Scores
from pipeline.circuits.transformer.weights import Weights
from pipeline.circuits.vocabulary.factors import gains_folded
from pipeline.claims.best_heads import SCORES
from pipeline.frames.scores import loss_rows, sentence_rows
from pipeline.frames.tensors import labels_of, sequences_of, sets_of, to_frame
from pipeline.models.families import to_weights
from pipeline.models.sequences import TOKEN_CLASSES
from pipeline.plumbing.artefacts import Paths, read, write
from pipeline.plumbing.schema import Table
from pipeline.plumbing.stage import main
from pipeline.settings.score_checkpoints import ScoreCheckpointsSettings
from pipeline.tables.prepare import VOCABULARY
from pipeline.tables.probe import SEQUENCES
from pipeline.tables.score_checkpoints import CHECKPOINT_LOSSES, CHECKPOINT_SCORES, CHECKPOINT_SENTENCES

PAIR = ["layer", "head", "src_layer", "src_head"]
# Twins without [BEGIN] say what a head does when all is learned; how it came to that is told by the scores themselves.
# Which tokens are near each other changes while embeddings are learned.
FOLLOWED = [
    entry for entry in HEADS if not entry.needs_begin and entry not in WORDS and entry.metric != "fuzzy_induction"
]


def run(settings: ScoreCheckpointsSettings, inputs: Paths, outputs: Paths) -> None:
    """Measure one checkpoint after the other; a model with none has an empty table."""
    torch.set_num_threads(settings.threads)
    config = json.loads(inputs.whole("config.json").read_text(encoding="utf-8"))
    sequences = read(SEQUENCES, inputs)
    sequences = sequences[sequences["eval_set"].isin(settings.eval_sets) & (sequences["sentence"] < settings.sentences)]
    first = int((read(VOCABULARY, inputs)["role"] == "begin").any())
    tables = CHECKPOINT_SCORES, CHECKPOINT_SENTENCES, CHECKPOINT_LOSSES
    frames = {table: [pd.DataFrame(columns=table.names)] for table in tables}
    with safe_open(inputs.whole("checkpoints.safetensors"), framework="pt") as checkpoints:
        steps = json.loads(checkpoints.metadata()["steps"])

        def parameter(step: int, name: str) -> Tensor:
            return checkpoints.get_tensor(f"{step}/{name}").float()

        for step in tqdm(steps, desc="checkpoints"):
            weights = to_weights(config, partial(parameter, step))
            for table, frame in measured(settings, weights, sequences, first):
                frames[table].append(frame.assign(step=step))
    if not steps:
        print("this model has no checkpoints, so there is no training to follow: its tables are empty")
    scores = pd.concat(frames[CHECKPOINT_SCORES]).astype(dict.fromkeys([*PAIR, "period"], "Int64"))
    write(CHECKPOINT_SCORES, scores, outputs)
    for table in (CHECKPOINT_SENTENCES, CHECKPOINT_LOSSES):
        write(table, pd.concat(frames[table]).astype({"period": "Int64"}), outputs)


def measured(
    settings: ScoreCheckpointsSettings, weights: Weights, sequences: pd.DataFrame, first: int
) -> Iterator[tuple[Table, pd.DataFrame]]:
    """Yield all measures of one checkpoint, and the tables that they are rows of."""
    folded = gains_folded(weights)
    ranking = spread(weights.d_vocab, settings.ranked_tokens), settings.tile, products_between(folded)
    definition, of_prefixes = SCORES["induction"]
    name = "induction", definition
    for eval_set, period in sets_of(sequences):
        which = {"eval_set": eval_set, "period": period}
        tokens = sequences_of(sequences, **which)
        scores, losses = sequence_scores(weights, Tokens(tokens, first, period), settings.batch, FOLLOWED)
        if eval_set == "text":
            scores |= text_scores(folded, tokens, first, scores["previous_token", "mean"].value, settings.tile)
        yield CHECKPOINT_SCORES, rows("layer head", scores, **which)
        if eval_set == of_prefixes:
            sentences = sentence_rows("layer head", {name: scores[name]}, **which)
            yield CHECKPOINT_SENTENCES, sentences.drop(columns=["metric", "definition"])
        labels = labels_of(sequences, **which, column="token_class")
        yield CHECKPOINT_SCORES, of_losses(settings, losses, labels).assign(**which)
        yield CHECKPOINT_LOSSES, loss_rows(losses, labels, 1, **which).drop(columns=["part", "parts"])
    for layer in range(weights.n_layers):
        scores = circuit_scores(folded, layer, *ranking)
        yield CHECKPOINT_SCORES, rows("head", scores, layer=layer, eval_set="weights")
    for source, reader in combinations(range(weights.n_layers), 2):
        pair = {"src_layer": source, "layer": reader, "eval_set": "weights"}
        composed = measure_pairs.composition_scores(folded, source, reader)
        scores = composed | measure_pairs.circuit_scores(folded, source, reader, *ranking)
        yield CHECKPOINT_SCORES, rows("src_head head", scores, **pair)


def rows(axes: str, scores: Scores, **constants: Any) -> pd.DataFrame:
    """Return a row an element of each score, under its name."""
    names = pd.DataFrame(list(scores), columns=["metric", "definition"])
    names["chance"] = [score.chance for score in scores.values()]
    frame = to_frame(f"score {axes}", value=torch.stack([score.value for score in scores.values()]))
    return frame.join(names, on="score").drop(columns="score").assign(**constants)


def of_losses(settings: ScoreCheckpointsSettings, losses: Tensor, token_class: np.ndarray) -> pd.DataFrame:
    """Return the scores of the model's losses: of each class of tokens, and how much lower they are late."""
    numbers = pd.Series(token_class.ravel()).map(TOKEN_CLASSES.index)
    classes = torch.tensor(numbers.to_list()).view_as(losses)
    windows = settings.early, settings.late
    scored = [
        (*entry.name, float(measure.function(losses, classes, windows)))
        for entry, measure in measured_as(OfLosses, MODELS)
    ]
    return pd.DataFrame(scored, columns=["metric", "definition", "value"]).dropna(subset="value")


if __name__ == "__main__":
    main(ScoreCheckpointsSettings, run)
