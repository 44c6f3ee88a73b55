"""A toy with a tokenizer of its own, what the stages say of it, and a study that holds that."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from pipeline import decompose, extract, project, score
from pipeline.ask.loading import load
from pipeline.frames.tensors import to_frame
from pipeline.models.attention_only import AttentionOnly, AttentionOnlyConfig
from pipeline.models.sequences import periodic_rows
from pipeline.models.tokenizer import encode, trained_tokenizer, vocabulary
from pipeline.plumbing.artefacts import Paths, read_file, write
from pipeline.plumbing.compose import compose
from pipeline.plumbing.graph import settings_of, tables_of
from pipeline.tables.prepare import TOKENS, VOCABULARY
from pipeline.tables.probe import LOSS_SEQUENCES, SEQUENCES
from pipeline.tables.registry import TABLES
from pipeline.tables.summarise import RUNS

PERIOD, LENGTH, DEMO = 5, 16, " We dog eating ice cream"
TEXT = DEMO * 9 + " the walk was long"
CHANGES = {
    "probe": {"periods": [PERIOD], "n_ctx": LENGTH, "demo": DEMO, "min_length": 2, "max_length": 4},
    "score": {"draws": 200, "pair_draws": 4, "ranked_draws": 20, "resamples": 50, "path_sentences": 2},
    "project": {"pairs": 6, "unit_tokens": 4, "dimensions": 3, "directions": 2},
    "decompose": {"resamples": 50, "map_tokens": LENGTH},
}


class Made(NamedTuple):
    """A toy's folder and the tables that stages made of it."""

    folder: Path  # config.json, model.safetensors, tokenizer.json
    tables: dict[str, pd.DataFrame]
    study: Path
    sequences: pd.DataFrame


def save_toy(folder, d_vocab, generator, **shape):
    shape = {"n_layers": 2, "n_heads": 2, "d_model": 16, "n_ctx": LENGTH, "d_vocab": d_vocab, "tied": False, **shape}
    config = {"model_type": "attention_only", "positions": "queries_and_keys", **shape}
    model = AttentionOnly(AttentionOnlyConfig.from_dict(config))
    tensors = {name: torch.randn(x.shape, generator=generator) / 2 for name, x in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config | {"step": 3}))


def sequences_for(tokenizer, generator):
    text = torch.randint(2, tokenizer.get_vocab_size(), (3, LENGTH), generator=generator)
    text[:, 0] = 0
    candidates = torch.arange(2, tokenizer.get_vocab_size())
    repeated, _ = periodic_rows(candidates, 3, LENGTH, PERIOD, 0, generator)
    demo = torch.tensor([[0, *encode(tokenizer, [DEMO])[0]][:LENGTH]])
    sets = (("text", None, text), ("repeated_tokens", PERIOD, repeated), ("demo", None, demo))
    frames = [
        to_frame("sentence position", token_id=ids).assign(eval_set=name, period=period) for name, period, ids in sets
    ]
    return pd.concat(frames).assign(token_class="other").astype({"period": "Int64"})


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("asked")
    folder = root / "store/train/aa"
    folder.mkdir(parents=True)
    (root / "store/probe").symlink_to(root / "store/train")
    generator = torch.Generator().manual_seed(3)
    tokenizer = trained_tokenizer([TEXT], 272)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_toy(folder, 272, generator)
    save_file({}, folder / "checkpoints.safetensors", {"steps": "[]"})
    entries = pd.DataFrame([asdict(entry) for entry in vocabulary(tokenizer, 272)])
    sequences = sequences_for(tokenizer, generator)
    named = sequences.assign(token=entries["token"].to_numpy()[sequences["token_id"]])
    write(VOCABULARY, entries, Paths([folder / "vocabulary.parquet"]))
    ids = [np.array(encode(tokenizer, [TEXT])[0], np.int32)]
    documents = Paths([root / "store/prepare/aa/tokens.parquet"])
    write(TOKENS, pd.DataFrame({"document": [0], "split": "train", "token_ids": ids}), documents)
    write(SEQUENCES, named, Paths([folder / "sequences.parquet"]))
    write(LOSS_SEQUENCES, sequences[sequences["eval_set"] == "text"], Paths([folder / "loss_sequences.parquet"]))
    settings = compose((), (), "base", 0)
    for stage, changes in CHANGES.items():
        settings[stage] |= changes
    tables = {}
    for stage in (extract, project, decompose, score):
        name = stage.__name__.split(".")[-1]
        outputs = Paths([folder / f"{table}.parquet" for table in tables_of(name) or ["weights"]])
        inputs = Paths([*sorted(folder.iterdir()), *documents.files])
        stage.run(settings_of(name).parse(settings[name]), inputs, outputs)
        tables |= {file.stem: read_file(TABLES[file.stem], file) for file in outputs.files}
    study = root / "studies/tiny"
    rows = [
        {"experiment": "base", "seed": 0, "stage": stage, "id": "aa", "settings": json.dumps(settings[stage])}
        for stage in ("prepare", "train", "probe", "verify", "decompose", "project", "score")
    ]
    write(RUNS, pd.DataFrame(rows), Paths([study / "runs.parquet"]))
    for name in ("head_scores", "attention_terms"):
        frame = tables[name].assign(experiment="base", seed=0)
        write(TABLES[name].with_run(), frame, Paths([study / f"{name}.parquet"]))
    return Made(folder, tables, study, sequences)


@pytest.fixture(scope="session")
def model(made):
    """The toy as a run of its study, so with the settings that the stages had."""
    return load(f"{made.study}:base/0")


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory):
    """A model with norms and feed-forward parts, whose tokens are ids."""
    from pipeline.models.tiny import save_tiny

    folder = tmp_path_factory.mktemp("gpt2")
    save_tiny("gpt2", folder, torch.Generator().manual_seed(0))
    return load(folder)
